#!/bin/sh
# Cross-validation over films: trains all three networks N times, each without one group of films,
# and scores them together on the films they have not seen.
#   training/crossvalidate.sh FILMS SIMULATED INITIAL OUT [N]
# INITIAL: weights.safetensors of a locate run on simulated films alone (see training/README.md).
# Runs that are there already go on, or are skipped when done. About 3 hours on 2 cores for N = 3.
set -eu
films=$1 simulated=$2 initial=$3 out=$4 n=${5:-3}
folders=""
k=0
while [ "$k" -lt "$n" ]; do
    python -m training train locate -f "$films" --simulated "$simulated" --initial "$initial" --fold "$k/$n" -o "$out/locate$k"
    python -m training train corners -f "$films" --fold "$k/$n" -o "$out/corners$k"
    python -m training train refine -f "$films" --fold "$k/$n" -o "$out/refine$k"
    python -m training export --locate "$out/locate$k" --corners "$out/corners$k" --refine "$out/refine$k" \
        -o "$out/weights$k" --version "0.0-fold$k" --data "fold $k of $n held out"
    folders="$folders $out/weights$k"
    k=$((k + 1))
done
# shellcheck disable=SC2086  # a list of folders
python -m training evaluate -w $folders -f "$films"
