#!/bin/bash
# Inside calico/test, with the tree at /code: in-image.sh TIER "PACKAGES" [PYTEST ARGUMENTS]. Runs that tier of the packages' tests.
set -euo pipefail

tier=$1
read -ra packages <<<"$2"
shift 2
# Engines in here need control groups that can be written, also where the outer engine mounts them read-only.
for controller in /sys/fs/cgroup /sys/fs/cgroup/*/; do
    if mountpoint -q "$controller"; then mount -o remount,bind,rw "$controller" 2>/dev/null || true; fi
done
for package in "${packages[@]}"; do
    [ -n "$(find "$package/tests/$tier" -name 'test_*.py' -print -quit 2>/dev/null)" ] || continue
    echo "== $tier $package (in calico/test)"
    (cd "$package" && pytest -q -c ../pyproject.toml --rootdir=. "tests/$tier" "$@")
done
