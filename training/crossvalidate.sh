#!/bin/sh
# Cross-validation over patients: the recipe N times, each without one group of films, and all of them
# scored together on the films they have not seen.
#   training/crossvalidate.sh MESHES OUT N FILMS...
set -eu
meshes=$1 out=$2 n=$3
shift 3
folders=""
k=0
while [ "$k" -lt "$n" ]; do
    training/recipe.sh "$meshes" "$out" "$k/$n" "$@"
    folders="$folders $out/weights_${k}_$n"
    k=$((k + 1))
done
# shellcheck disable=SC2086  # a list of folders
python -m training evaluate -w $folders -f "$@" --calibrate
