#!/bin/sh
# The recipe of the shipped weights, from films to a folder of weights.
#   training/recipe.sh MESHES OUT FOLD FILMS...
# MESHES: bone meshes for the simulator. FOLD: K/N leaves one of N groups of patients out, "all" none.
# FILMS: folders of labelled films, also of films that are not lateral (anterior: neither).
# Runs that are there already go on, or are skipped when done; simulated films and what was learnt from
# them alone serve all folds. Some three hours on two cores for one fold.
set -eu
meshes=$1 out=$2 fold=$3
shift 3
films=$*
name=$(echo "$fold" | tr / _)
if [ "$fold" = all ]; then set --; else set -- --fold "$fold"; fi

simulate() { # NAME ARGS...: a folder of simulated films
    folder=$out/$1
    shift
    [ -e "$folder/done" ] || python -m training.simulate "$@" --meshes "$meshes" -o "$folder"
    touch "$folder/done"
}
train() { python -m training train "$@"; }
weights() { # FOLDER RUNS...: a folder of weights, in which step 2 is the average of these runs, and step 1a of its two
    folder=$1
    shift
    python -m training export --locate "$out/locate_clean_$name" "$out/locate_worn_$name" --corners "$out/corners_$name" --refine "$@" \
        -o "$folder" --version "0.0-$name" --data "$films, fold $fold"
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
near="$out/lumbar $out/fine $out/slips"
# The same with their corners where the shipped networks have learnt that readers mark them.
marked="$out/marked/lumbar $out/marked/fine $out/marked/slips"
if [ ! -e "$out/marked/done" ]; then
    rm -rf "$out/marked"
    python -m training.simulate.marks -f "$out/fine" "$out/lumbar" "$out/slips" -o "$out/marked"
    touch "$out/marked/done"
fi

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
        if [ "$look" = clean ]; then shown=$clean seed=7; else shown= seed=8; fi
        train locate -f $films --simulated $all --initial "$out/locate_simulated/weights.safetensors" --seed $seed \
            --set fit.steps=800 $shown -o "$out/locate_both_${look}_$name" "$@"
        train locate -f $films --simulated $all --initial "$out/locate_both_${look}_$name/weights.safetensors" --seed 61 \
            --set fit.steps=250 fit.learning_rate=2e-2 network.other_detector=0 network.simulated_share=0.55 $shown $negatives \
            -o "$out/locate_${look}_$name" "$@"
    done
    # Steps 1b and 2: simulated films, then both kinds, then the lowest levels marked as readers do, twice.
    low_levels='network.simulated_levels=["L3", "L4", "L5", "S1"]'
    for net in corners refine; do
        if [ "$net" = corners ]; then size=128 lowest='"L5", "S1"' last='fit.steps=500 fit.learning_rate=8e-4' seed=21
        else size=160 lowest='"L4", "L5", "S1"' last='fit.steps=300 fit.learning_rate=6e-4 network.simulated_share=0.3' seed=22; fi
        train "$net" -f $near --set fit.steps=400 network.crop_size=$size --seed 3 -o "$out/${net}_simulated"
        train "$net" -f $films --simulated $near --initial "$out/${net}_simulated/weights.safetensors" --seed 5 \
            --set network.crop_size=$size -o "$out/${net}_first_$name" "$@"
        train "$net" -f $films --simulated $marked --initial "$out/${net}_first_$name/weights.safetensors" --seed 9 \
            --set network.crop_size=$size fit.steps=220 fit.learning_rate=5e-4 network.simulated_share=0.3 "network.simulated_levels=[$lowest]" \
            -o "$out/${net}_second_$name" "$@"
        train "$net" -f $films --simulated $marked --initial "$out/${net}_second_$name/weights.safetensors" --seed $seed \
            --set network.crop_size=$size $last "$low_levels" -o "$out/${net}_$name" "$@"
    done
    # Step 2 a little longer, and then on smaller crops, from the average of these two moments; what ships is the average
    # of all four, and reads crops of a size between (configs/refine.toml).
    train refine -f $films --simulated $marked --initial "$out/refine_$name/weights.safetensors" --seed 41 \
        --set network.crop_size=160 fit.steps=260 fit.learning_rate=4e-4 network.simulated_share=0.3 "$low_levels" \
        -o "$out/refine_more_$name" "$@"
    weights "$out/halfway_$name" "$out/refine_$name" "$out/refine_more_$name"
    train refine -f $films --simulated $marked --initial "$out/halfway_$name/refine.safetensors" --seed 81 \
        --set network.crop_size=128 network.sigma=0.8 fit.steps=400 fit.learning_rate=6e-4 -o "$out/refine_small_$name" "$@"
    train refine -f $films --simulated $marked --initial "$out/refine_small_$name/weights.safetensors" --seed 82 \
        --set network.crop_size=128 network.sigma=0.8 fit.steps=260 fit.learning_rate=4e-4 network.simulated_share=0.3 "$low_levels" \
        -o "$out/refine_last_$name" "$@"
}
weights "$out/weights_$name" "$out/refine_$name" "$out/refine_more_$name" "$out/refine_small_$name" "$out/refine_last_$name"
