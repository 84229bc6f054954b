#!/bin/bash
# A Docker engine for development and continuous integration: engine.sh install|start|stop|status.
# install: installs Debian's docker.io, and busybox for tests, where they are missing (as root).
# start: uses the engine that answers already, else installs that and starts one of our own, with
# calico_test/runtime.sh where the machine lacks a capability; prints the variable that leads to it, for: eval "$(images/engine.sh start)"
# stop: ends the engine that start began, and nothing else. Its images stay in $ENGINE_ROOT.
set -euo pipefail
cd "$(dirname "$0")"

state=${ENGINE_STATE:-/run/calico-engine}
root=${ENGINE_ROOT:-/var/lib/calico-engine}
socket=$state/docker.sock
runtime=$(realpath ../calico-test/src/calico_test/runtime.sh)
say() { printf 'engine: %s\n' "$*" >&2; }
die() { printf 'engine: %s\n' "$*" >&2; exit 1; }

answers() { docker -H "$1" version --format '{{.Server.Version}}' >/dev/null 2>&1; }
usual=${DOCKER_HOST:-unix:///var/run/docker.sock}

lacks_capability() {
    local bounding
    bounding=$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)
    [ $((0x$bounding >> 24 & 1)) = 0 ]
}

# Installs what is missing of what engines, and the system tests' images, are made of.
install() {
    local missing=()
    command -v dockerd >/dev/null || missing+=(docker.io)
    command -v busybox >/dev/null || missing+=(busybox-static)
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "these packages are missing; install them as root: apt-get install ${missing[*]}"
    command -v apt-get >/dev/null || die "these are missing, and there is no apt-get here to install them: ${missing[*]}"
    say "installing ${missing[*]}"
    # Debian starts services when it installs them; ours is started below, in its own place.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

start() {
    if answers "$usual"; then
        echo "export DOCKER_HOST=$usual"
        return
    fi
    if ! answers "unix://$socket"; then
        [ "$(id -u)" = 0 ] || die "no Docker engine answers at $usual, and only root can start one; run it with sudo"
        install
        launch
    fi
    echo "export DOCKER_HOST=unix://$socket"
}

launch() {
    local options=(-H "unix://$socket" -p "$state/docker.pid" --exec-root "$state/exec" --data-root "$root")
    if lacks_capability; then
        options+=(--add-runtime "ours=$runtime" --default-runtime ours)
    fi
    mkdir -p "$state"
    say "starting dockerd; its log is $state/dockerd.log"
    setsid dockerd "${options[@]}" >"$state/dockerd.log" 2>&1 </dev/null &
    local waited
    for ((waited = 0; waited < 300; waited++)); do
        if answers "unix://$socket"; then return; fi
        if ! kill -0 $! 2>/dev/null; then break; fi
        sleep 0.1
    done
    tail -n 5 "$state/dockerd.log" >&2
    die "dockerd did not start"
}

stop() {
    local pid waited
    if [ ! -e "$state/docker.pid" ]; then
        say "none of ours runs"
        return
    fi
    pid=$(<"$state/docker.pid")
    kill "$pid" 2>/dev/null || true
    for ((waited = 0; waited < 300; waited++)); do
        if ! kill -0 "$pid" 2>/dev/null; then
            rm -rf "$state"
            say "stopped"
            return
        fi
        sleep 0.1
    done
    die "dockerd (pid $pid) does not end; see $state/dockerd.log"
}

case ${1:-} in
    install) install ;;
    start) start ;;
    stop) stop ;;
    status)
        if answers "unix://$socket"; then say "ours answers at unix://$socket"; elif answers "$usual"; then say "one answers at $usual"; else
            say "none answers"
            exit 1
        fi
        ;;
    *) die "usage: engine.sh install|start|stop|status" ;;
esac
