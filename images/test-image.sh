#!/bin/bash
# Builds calico/test, unless the engine at $DOCKER_HOST has it and it is made of what it would be made of now.
# `test-image.sh digest` prints the digest of that, which the image carries as a label.
set -euo pipefail
cd "$(dirname "$0")/.."

docker=${DOCKER:-docker}
digest() { sha256sum calico-test/image/Dockerfile requirements-dev.txt ./*/pyproject.toml | sha256sum | cut -c1-16; }

if [ "${1:-}" = digest ]; then
    digest
    exit 0
fi
has=$($docker image inspect -f '{{index .Config.Labels "org.projectcalico.inputs"}}' calico/test:latest 2>/dev/null || true)
[ "$has" = "$(digest)" ] || make --no-print-directory images IMAGES=test
