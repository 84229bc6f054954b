#!/bin/bash
# Builds images from the wheelhouse: build.sh [NAME...]; names are node, ctl, node-libnetwork, test, build. All but build by
# default. Each is tagged calico/NAME:latest; $IMAGE_TAG adds a second tag, $IMAGE_PREFIX replaces "calico".
set -euo pipefail
cd "$(dirname "$0")/.."

docker=${DOCKER:-docker}
wheels=build/wheels
prefix=${IMAGE_PREFIX:-calico}
say() { printf 'images: %s\n' "$*"; }
die() { printf 'images: %s\n' "$*" >&2; exit 1; }

ls $wheels/libcalico-*.whl >/dev/null 2>&1 || die "there are no wheels in $wheels; make them with: make wheels"
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

# Prints the Dockerfile of an image, and what it needs beside the wheels.
parts() {
    case $1 in
        node) echo calico-node/image/Dockerfile ;;
        ctl) echo calicoctl/image/Dockerfile ;;
        build) echo calicoctl/image/Dockerfile.build calicoctl/image/calicoctl.spec images/requirements.txt ;;
        node-libnetwork) echo libnetwork-plugin/image/Dockerfile ;;
        test) echo calico-test/image/Dockerfile requirements-dev.txt ;;
        *) return 1 ;;
    esac
}

names=("$@")
[ ${#names[@]} -gt 0 ] || names=(node ctl node-libnetwork test)
for name in "${names[@]}"; do
    read -ra files < <(parts "$name") || die "unknown image $name; known are node, ctl, node-libnetwork, test, build"
    began=$SECONDS
    rm -rf "${context:?}"/*
    ln $wheels/*.whl "$context/" 2>/dev/null || cp $wheels/*.whl "$context/"
    for file in "${files[@]:1}"; do cp "$file" "$context/"; done
    tags=(-t "$prefix/$name:latest")
    [ -z "${IMAGE_TAG:-}" ] || tags+=(-t "$prefix/$name:$IMAGE_TAG")
    labels=()
    [ "$name" != test ] || labels=(--label "org.projectcalico.inputs=$(images/test-image.sh digest)")
    log=$context.$name.log
    if ! $docker build "${tags[@]}" "${labels[@]}" ${BASE_IMAGE:+--build-arg "BASE_IMAGE=$BASE_IMAGE"} -f "${files[0]}" "$context" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        die "$prefix/$name does not build"
    fi
    rm -f "$log"
    say "$prefix/$name: $($docker image inspect -f '{{.Size}}' "$prefix/$name:latest" | awk '{ printf "%d MB", $1 / 1e6 }'), $((SECONDS - began)) s"
done
