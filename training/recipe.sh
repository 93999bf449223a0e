#!/bin/sh
# The recipe of the shipped weights, from films to a folder of weights.
#   training/recipe.sh MESHES OUT FOLD FILMS...
# MESHES: bone meshes for the simulator. FOLD: K/N leaves one of N groups of patients out, "all" none.
# FILMS: folders of labelled films, also of films that are not lateral (anterior: neither).
# Runs that are there already go on, or are skipped when done; simulated films and what was learnt from
# them alone serve all folds. By the times of single steps some two hours on two cores with
# AVX-512 for one fold, and half an hour less for the next.
set -eu
meshes=$1 out=$2 fold=$3
shift 3
films=$*
name=$(echo "$fold" | tr / _)
if [ "$fold" = all ]; then set --; else set -- --fold "$fold"; fi

whole() { # NAME COMMAND...: a folder that a command makes (-o), there whole or not at all; nothing else is replaced
    folder=$out/$1
    shift
    [ ! -e "$folder/done" ] || return 0
    rm -rf "$folder.half"
    "$@" -o "$folder.half"
    touch "$folder.half/done"
    mv -T "$folder.half" "$folder"
}
simulate() { # NAME ARGS...: a folder of simulated films
    name_of=$1
    shift
    whole "$name_of" python -m training.simulate "$@" --meshes "$meshes"
}
train() { python -m training train "$@"; }
shown_as() { # LOOK CLEAN WORN: how films are shown ("worn" as the configurations have it), and which of two seeds that training has
    if [ "$1" = clean ]; then shown=$clean seed=$2; else shown= seed=$3; fi
}
weights() { # FOLDER CORNERS REFINE: a folder of weights; these are runs of steps 1b and 2, averaged as those of step 1a are
    # shellcheck disable=SC2086  # lists of folders
    python -m training export --locate "$out/locate_clean_$name" "$out/locate_worn_$name" --corners $2 --refine $3 \
        -o "$1" --version "0.0-$name" --data "$films, fold $fold"
}

simulate any --count 300 --seed 50000 --pixel 0.9
simulate any_more --count 300 --seed 200000 --pixel 0.9
simulate lumbar --count 200 --seed 60000 --pixel 0.9 --lumbar
simulate lumbar_more --count 400 --seed 100000 --pixel 0.9 --lumbar
simulate slips --count 120 --seed 300000 --pixel 0.9 --lumbar --least-slip 0.35
simulate fine --count 240 --seed 80000 --pixel 0.5 --lumbar
simulate frontal --count 70 --seed 70000 --pixel 0.9 --frontal
start="$out/any $out/lumbar $out/lumbar_more $out/frontal"
all="$out/any $out/lumbar $out/frontal $out/lumbar_more $out/fine $out/any_more $out/slips"
# The same with their corners where the shipped networks have learnt that readers mark them.
marked="$out/marked/fine $out/marked/lumbar $out/marked/slips"
whole marked python -m training.simulate.marks -f "$out/fine" "$out/lumbar" "$out/slips"

# shellcheck disable=SC2086  # lists of folders, here and below
{
    # Step 1a: simulated films alone until it names real ones that it has not seen; from there both kinds, twice apart, the
    # second time shown as badly photographed (configs/locate.toml), each time with what tells negatives, learnt by itself
    # at last. Their average ships.
    clean='network.noise=0.07 network.lamps=0 network.aspect=0.06'
    alone='network.other_detector=1.0 network.negative_weight=0 fit.validate_every=125'
    negatives='fit.only="negative" network.negative_share=0.5 network.negative_weight=1.0'
    train locate -f $start --set fit.steps=250 $clean $alone --seed 3 -o "$out/locate_start"
    train locate -f $all --initial "$out/locate_start/weights.safetensors" --seed 5 \
        --set fit.steps=400 fit.learning_rate=8e-4 network.whole_film=0.5 $clean $alone -o "$out/locate_simulated"
    for look in clean worn; do
        shown_as "$look" 7 8
        train locate -f $films --simulated $all --initial "$out/locate_simulated/weights.safetensors" --seed $seed \
            --set fit.steps=800 $shown -o "$out/locate_both_${look}_$name" "$@"
        train locate -f $films --simulated $all --initial "$out/locate_both_${look}_$name/weights.safetensors" --seed 61 \
            --set fit.steps=250 fit.learning_rate=2e-2 network.other_detector=0 network.simulated_share=0.55 $shown $negatives \
            -o "$out/locate_${look}_$name" "$@"
    done
    # Steps 1b and 2 in the same way, on simulated films with corners where readers mark them.
    clean='network.other_detector=0.3 network.noise=0.07 network.lamps=0 network.aspect=0.08'
    alone='network.other_detector=1.0 network.noise=0.12 network.lamps=0 network.aspect=0.08'
    for net in corners refine; do
        train $net -f $marked --set fit.steps=400 $alone --seed 3 -o "$out/${net}_start"
        train $net -f $marked --initial "$out/${net}_start/weights.safetensors" --seed 5 \
            --set fit.steps=400 fit.learning_rate=8e-4 $alone -o "$out/${net}_simulated"
        for look in clean worn; do
            shown_as "$look" 7 8
            train $net -f $films --simulated $marked --initial "$out/${net}_simulated/weights.safetensors" --seed $seed \
                --set fit.steps=800 $shown -o "$out/${net}_${look}_$name" "$@"
        done
    done
    # Both go on from their averages: step 1b with L5 and S1 alone of the simulated films, guessed as wrongly as where one has slipped
    # far; step 2 without the Jensen-Shannon term, which helps at first and then holds heat-maps wider than they need be.
    weights "$out/halfway_$name" "$out/corners_clean_$name $out/corners_worn_$name" "$out/refine_clean_$name $out/refine_worn_$name"
    train corners -f $films --simulated $marked --initial "$out/halfway_$name/corners.safetensors" --seed 21 \
        --set fit.steps=300 fit.learning_rate=8e-4 network.other_detector=0.3 network.noise=0.1 network.lamps=0.1 network.aspect=0.08 \
        network.strayed_share=0.2 network.simulated_share=0.5 network.sacral_share=0.3 'network.simulated_levels=["L5", "S1"]' \
        -o "$out/corners_$name" "$@"
    for look in clean worn; do
        shown_as "$look" 22 21
        train refine -f $films --simulated $marked --initial "$out/halfway_$name/refine.safetensors" --seed $seed \
            --set fit.steps=200 fit.learning_rate=5e-4 network.js_weight=0 $shown -o "$out/refine_last_${look}_$name" "$@"
    done
}
weights "$out/weights_$name" "$out/corners_$name" "$out/refine_last_clean_$name $out/refine_last_worn_$name"
# CPUs run steps 1b and 2 on integers.
python -m training quantise -w "$out/weights_$name" -f "$out/any" "$out/lumbar"
