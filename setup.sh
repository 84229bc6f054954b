#!/bin/bash
# Installs what the other targets need: system packages (as root, with apt) and .venv with all packages of this tree.
# Says what it does; does nothing when everything is there.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# program → Debian package
declare -A needed=([etcd]=etcd-server [etcdctl]=etcd-client [bird]=bird2 [nft]=nftables [ip]=iproute2 [nsenter]=util-linux [rpmbuild]=rpm [openssl]=openssl [sysctl]=procps [git]=git)
missing=()
PATH=$PATH:/usr/sbin:/sbin
for program in "${!needed[@]}"; do
    command -v "$program" >/dev/null || missing+=("${needed[$program]}")
done

find_python() {
    local candidate
    for candidate in /usr/bin/python3 /usr/bin/python3.1{4,3,2,1} python3.1{4,3,2,1} python3; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
}
python=$(find_python)
[ -n "$python" ] || missing+=(python3 python3-venv)

if [ ${#missing[@]} -gt 0 ]; then
    [ "$(id -u)" = 0 ] || die "these packages are missing; install them as root: apt-get install ${missing[*]}"
    command -v apt-get >/dev/null || die "these are missing, and there is no apt-get here to install them: ${missing[*]}"
    say "installing system packages: ${missing[*]}"
    # Debian starts services when it installs them. We need the programs only: nothing is to be started on this machine.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    python=$(find_python)
    [ -n "$python" ] || die "no Python 3.11 or later with the venv module was found; install python3 and python3-venv of your distribution"
fi

if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    say "creating .venv with $python"
    "$python" -m venv --clear .venv
fi

packages=()
for project in */pyproject.toml; do packages+=(-e "./${project%/pyproject.toml}"); done
say "installing the $((${#packages[@]} / 2)) packages and their dependencies into .venv (a minute on a cold machine)"
.venv/bin/python -m pip install -q --disable-pip-version-check 'hatchling>=1.21' editables
.venv/bin/python -m pip install -q --disable-pip-version-check --no-build-isolation "${packages[@]}" -r requirements-dev.txt
touch .venv/.installed
say "ready"
