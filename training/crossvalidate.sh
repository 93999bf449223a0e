#!/bin/sh
# Cross-validation over patients: trains all three networks N times, each without one group of films,
# and scores them together on the films they have not seen.
#   training/crossvalidate.sh FILMS SIMULATED SIMULATED_LUMBAR INITIAL OUT [N]
# INITIAL: weights.safetensors of a locate run on simulated films alone (see training/README.md).
# Runs that are there already go on, or are skipped when done. About 2 hours on 2 cores for N = 3.
set -eu
films=$1 simulated=$2 lumbar=$3 initial=$4 out=$5 n=${6:-3}
folders=""
k=0
while [ "$k" -lt "$n" ]; do
    python -m training train locate -f "$films" --simulated "$simulated" --initial "$initial" --fold "$k/$n" -o "$out/locate$k"
    for net in corners refine; do
        python -m training train "$net" -f "$films" --fold "$k/$n" -o "$out/$net$k"
        python -m training train "$net" -f "$films" --simulated "$lumbar" --initial "$out/$net$k/weights.safetensors" \
            --learning-rate 4e-4 --steps 300 --seed 1 --fold "$k/$n" -o "$out/${net}_mixed$k"
    done
    python -m training export --locate "$out/locate$k" --corners "$out/corners_mixed$k" --refine "$out/refine_mixed$k" \
        -o "$out/weights$k" --version "0.0-fold$k" --data "fold $k of $n held out"
    folders="$folders $out/weights$k"
    k=$((k + 1))
done
# shellcheck disable=SC2086  # a list of folders
python -m training evaluate -w $folders -f "$films" --calibrate
