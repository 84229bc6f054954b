#!/bin/bash
# Where the tests of `make ut` and `make st` run: where.sh [image|host]; prints "image" (in a container of calico/test) or
# "host" (on this machine), and on standard error the reason and how to choose otherwise. Without an argument it is the image
# where a local Docker engine answers and has calico/test, or can be given it. An engine that engine.sh began, for the images
# alone, does not count: what `make images` leaves behind changes nothing.
set -euo pipefail
cd "$(dirname "$0")"

chosen=${1:-}
engine=${DOCKER_HOST:-unix:///var/run/docker.sock}
say() { printf 'tests: %s\n' "$*" >&2; }

# A remote engine would mount directories of its own machine.
local_engine_answers() {
    [[ $engine == unix://* && $engine != unix://${ENGINE_STATE:-/run/calico-engine}/* ]] &&
        timeout 20 docker -H "$engine" info --format '{{.ServerVersion}}' >/dev/null 2>&1
}

case $chosen in
    image | host)
        say "$chosen was chosen by IN=$chosen"
        echo "$chosen"
        ;;
    '')
        if ! local_engine_answers; then
            say "on this machine: no Docker engine answers at $engine; IN=image starts one and runs them in calico/test"
            echo host
        elif ! ./test-image.sh >&2; then
            say "on this machine: calico/test cannot be built (see above); IN=host does not try"
            echo host
        else
            say "in a container of calico/test: a Docker engine answers at $engine; IN=host runs them on this machine"
            echo image
        fi
        ;;
    *)
        say "IN=$chosen is neither image nor host"
        exit 2
        ;;
esac
