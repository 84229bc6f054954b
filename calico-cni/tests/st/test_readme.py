"""The README's lines work as pasted."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.fixture
def paste(cluster):
    """Type lines on a host that has no plugins yet; afterwards it has them again."""
    machine = cluster.machines[0]

    def run(lines):
        # Only the lab's etcd is elsewhere; what Podman makes belongs into the lab's control group.
        script = lines.replace("http://10.0.0.1:2379", cluster.lab.etcd.endpoint)
        script = script.replace("podman run", f"podman run --cgroup-parent=/{machine.cgroup}")
        return machine.run("sh", "-euc", script).stdout

    yield run
    machine.remove_everything()
    machine.host.sh("rm -f /etc/cni/net.d/*")
    machine.install("10-calico.conflist", "calico")
    machine.host.sh("cp /usr/lib/cni/loopback /opt/cni/bin/")


def test_the_shortest_use(cluster, paste):
    assert len(BLOCKS[0].splitlines()) <= 10
    shown = paste(BLOCKS[0])
    [address] = re.findall(r"^10\.65\.\d+\.\d+$", shown, re.MULTILINE)
    assert re.search(rf"^default .* {address}/32", shown, re.MULTILINE), shown
    host = cluster.machines[0].host
    assert not host.exists("/opt/cni/bin/calico")
    assert not host.exists("/etc/cni/net.d/10-calico.conflist")


def test_several_networks(paste):
    assert len(BLOCKS[1].splitlines()) <= 10
    shown = paste(BLOCKS[1])
    assert {"calico", "db"} <= set(shown.split())
