#!/bin/bash
# Makes the image debian:bookworm-slim, where no registry answers: base.sh [TAG]. Does nothing if the image is there, or
# can be pulled. The stand-in is made by mmdebstrap from Debian's packages (as root), with the same paths left out as in the
# image of that name, and with ca-certificates.
set -euo pipefail

tag=${1:-debian:bookworm-slim}
docker=${DOCKER:-docker}
say() { printf 'image-base: %s\n' "$*"; }
die() { printf 'image-base: %s\n' "$*" >&2; exit 1; }

$docker version --format '{{.Server.Version}}' >/dev/null || die "no Docker engine answers; start one, e.g. images/engine.sh start"
if $docker image inspect "$tag" >/dev/null 2>&1; then
    say "$tag is there"
    exit 0
fi
if timeout "${PULL_TIMEOUT_S:-300}" $docker pull -q "$tag" 2>/dev/null; then
    say "pulled $tag"
    exit 0
fi

say "no registry gives $tag; making a stand-in (half a minute)"
[ "$(id -u)" = 0 ] || die "this needs root (mmdebstrap); run it with sudo"
if ! command -v mmdebstrap >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
security=${DEBIAN_SECURITY_MIRROR:-http://deb.debian.org/debian-security}
exclude=()
for path in /usr/share/doc /usr/share/man /usr/share/locale /usr/share/info /usr/share/lintian /usr/share/groff; do
    exclude+=("--dpkgopt=path-exclude=$path/*")
done
mmdebstrap --quiet --variant=minbase --include=ca-certificates "${exclude[@]}" \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' --aptopt='Acquire::Languages "none"' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*' \
    bookworm "$scratch/root.tar" \
    "deb $mirror bookworm main" "deb $mirror bookworm-updates main" "deb $security bookworm-security main"
$docker import --change 'CMD ["bash"]' --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    "$scratch/root.tar" "$tag" >/dev/null
say "made $tag"
