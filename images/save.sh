#!/bin/bash
# Writes images to build/images/NAME.tar, for engines on the hosts of system tests: save.sh NAME...
# An archive that is newer than its image stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

docker=${DOCKER:-docker}
mkdir -p build/images
for name in "$@"; do
    id=$($docker image inspect -f '{{.Id}}' "calico/$name:latest")
    archive=build/images/$name.tar
    if [ "$(cat "$archive.id" 2>/dev/null)" != "$id" ] || [ ! -e "$archive" ]; then
        $docker save -o "$archive" "calico/$name:latest"
        echo "$id" >"$archive.id"
    fi
done
