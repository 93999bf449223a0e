#!/bin/sh
# Sets up everything that is missing, then runs one job. Safe to repeat.
#   ./dev.sh demo [FILM...]   detect on the bundled film (or on yours), into results/
#   ./dev.sh test [ARGS...]   all tests
set -eu
cd "$(dirname "$0")"

as_root() {
    if [ "$(id -u)" = 0 ]; then env DEBIAN_FRONTEND=noninteractive "$@"; else sudo env DEBIAN_FRONTEND=noninteractive "$@"; fi
}

find_python() {
    for name in python3 python3.12 python3.11 python3.13; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "dev.sh: no Python 3.11 to 3.13 found: install one (apt-get install python3)." >&2
    exit 1
}

setup() {
    stamp=.venv/installed
    wanted=$(cat pyproject.toml constraints.txt dev.sh | cksum)
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x .venv/bin/spine-landmarks ] && return
    python=$(find_python)
    packages=""
    "$python" -c 'import ensurepip, venv' 2>/dev/null || packages="python3-venv"
    # Slicer's libraries draw offscreen through OSMesa; without a GL library they crash.
    ls /usr/lib/*/libOSMesa.so* >/dev/null 2>&1 || packages="$packages libosmesa6"
    if [ -n "$packages" ]; then
        as_root apt-get update -q
        # shellcheck disable=SC2086  # a list of packages
        as_root apt-get install -y -q $packages
    fi
    rm -rf .venv
    "$python" -m venv .venv
    .venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[all]'
    echo "$wanted" > "$stamp"
}

job=${1:-}
[ $# -gt 0 ] && shift
case "$job" in
    demo)
        setup
        [ $# -gt 0 ] || set -- SpineLandmarks/Resources/SampleFilm/simulated_lateral.png
        .venv/bin/spine-landmarks detect -o results "$@"
        echo "Tables, annotated pictures and .mrk.json are in $(pwd)/results"
        ;;
    test)
        setup
        exec .venv/bin/python -m pytest "$@"
        ;;
    *)
        sed -n '2,4s/^# \{0,1\}//p' dev.sh >&2
        exit 2
        ;;
esac
