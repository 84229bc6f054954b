"""calicoctl as the image calico/ctl, and as a single file on a system without Python."""

import json
from pathlib import Path

import pytest

BINARY = Path(__file__).parents[3] / "build/dist/calicoctl"
POOL = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "IPPool",
    "metadata": {"name": "demo"},
    "spec": {"cidr": "10.65.0.0/16"},
}
#: The directories of the image that a bare system would not have.
OURS = ("/opt/calico", "/usr/bin/python3", "/usr/bin/python3.11", "/usr/lib/python3.11")


def in_image(engine, *arguments, stdin=None, options=(), check=True):
    command = ["docker", "run", "--rm", "-i", "--net=host", "-e", "ETCD_ENDPOINTS", *options]
    return engine.host.run([*command, "calico/ctl", *arguments], stdin=stdin, check=check)


def test_the_image_manages_resources(engine):
    in_image(engine, "apply", "-f", "-", stdin=json.dumps(POOL))
    assert "10.65.0.0/16" in in_image(engine, "get", "ippools").stdout
    in_image(engine, "delete", "ippool", "demo")
    assert in_image(engine, "get", "ippool", "demo", check=False).returncode == 1


def test_manifests_are_read_where_they_are_mounted(engine):
    engine.host.write_text("/etc/calico/pool.json", json.dumps(POOL))
    mount = ["-v", "/etc/calico:/manifests:ro"]
    done = in_image(engine, "validate", "-f", "/manifests/pool.json", options=mount)
    assert "Successfully validated" in done.stdout


@pytest.mark.skipif(not BINARY.exists(), reason="there is no binary; make it with: make binary")
def test_the_binary_needs_no_python(engine):
    hide = [
        word for path in OURS for word in ("-v", f"/dev/null:{path}" if "bin" in path else path)
    ]
    options = [*hide, "-v", f"{BINARY}:/calicoctl:ro", "--entrypoint", "/calicoctl"]
    in_image(engine, "apply", "-f", "-", stdin=json.dumps(POOL), options=options)
    assert "10.65.0.0/16" in in_image(engine, "get", "ippools", options=options).stdout
    assert "Client Version:" in in_image(engine, "version", "--client", options=options).stdout
    python = [*hide, "--entrypoint", "/usr/bin/python3"]
    assert in_image(engine, "-c", "1", options=python, check=False).returncode != 0
    in_image(engine, "delete", "ippool", "demo", options=options)
