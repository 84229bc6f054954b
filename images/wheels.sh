#!/bin/bash
# Fills the wheelhouse, build/wheels: wheels of our packages, anew, and of all that they, their tests and the images need.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(libcalico calicoctl calico-node calico-cni calico-mesos libnetwork-plugin calico-test release docs)
mkdir -p build/wheels
rm -f build/wheels/{libcalico,calico*,libnetwork_plugin}-[0-9]*.whl
.venv/bin/python -m pip wheel -q --disable-pip-version-check --no-build-isolation --wheel-dir build/wheels \
    "${packages[@]/#/./}" -r requirements-dev.txt -r images/requirements.txt
printf 'wheels: %d in build/wheels\n' "$(ls build/wheels/*.whl | wc -l)"
