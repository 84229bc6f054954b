"""An engine's containers are endpoints, and nothing of an engine outlives it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from calico_test.engine import Engine
from calico_test.errors import HarnessError
from calico_test.lab import Lab


@pytest.fixture
def lab():
    with Lab(1, etcd=False) as made:
        yield made


@pytest.fixture
def archive(tmp_path):
    """A root file system of a static busybox alone."""
    busybox = shutil.which("busybox")
    assert busybox is not None, "install busybox-static: images/engine.sh install"
    (tmp_path / "root/bin").mkdir(parents=True)
    shutil.copy(busybox, tmp_path / "root/bin/sleep")
    file = tmp_path / "busybox.tar"
    subprocess.run(["tar", "-C", tmp_path / "root", "-cf", file, "."], check=True)
    return file


def control_groups(lab):
    return [
        *Path("/sys/fs/cgroup").glob(f"{lab.name}-*"),
        *Path("/sys/fs/cgroup").glob(f"*/{lab.name}-*"),
    ]


def test_nothing_outlives_an_engine(lab, archive):
    with Engine(lab, lab.hosts[0]) as engine:
        engine.docker("import", str(archive), "sleeper")
        container = engine.run("c1", "sleeper")
        network = Path(container.netns)
        assert network.exists()
        assert "lo:" in container.run(["ip", "link"]).stdout
        container.listen(tcp=[80])
        assert control_groups(lab)
    assert not network.exists()
    assert not control_groups(lab)


def test_a_name_can_be_used_again(lab, archive):
    with Engine(lab, lab.hosts[0]) as engine:
        engine.docker("import", str(archive), "sleeper")
        first = engine.run("c1", "sleeper")
        first.run(["ip", "link", "set", "lo", "up"])
        first.run(["ip", "address", "add", "10.9.9.9/32", "dev", "lo"])
        assert first.agent
        engine.remove("c1")
        again = engine.run("c1", "sleeper")
        assert again.agent
        assert again.read_addresses() == []


def test_an_engine_that_does_not_start_is_told(lab):
    with pytest.raises(HarnessError, match="dockerd does not start"):
        Engine(lab, lab.hosts[0], options=["--no-such-option"])
