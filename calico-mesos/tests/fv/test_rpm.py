"""The RPM: what is in it, and that it works where it was installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import libcalico

PACKAGE = Path(__file__).resolve().parents[2]
#: Where the command finds what it needs besides itself.
ENVIRON = os.environ | {
    "PYTHONPATH": f"{Path(libcalico.__file__).parents[1]}:{sysconfig.get_path('purelib')}"
}


@pytest.fixture(scope="module")
def rpms(tmp_path_factory):
    if shutil.which("rpmbuild") is None:
        pytest.skip("rpmbuild is missing: apt-get install -y --no-install-recommends rpm")
    out = tmp_path_factory.mktemp("rpm")
    run("make", "-C", str(PACKAGE), "rpm", f"OUT={out}", f"INTERPRETER={interpreter()}")
    return sorted(out.glob("*.rpm"))


@pytest.fixture(scope="module")
def root(rpms, tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    root = tmp_path_factory.mktemp("root")
    rpm(root, "-i", str(rpms[0]))
    return root


def interpreter():
    """Return the Python that this one's packages are for, outside of its virtual environment."""
    return os.path.realpath(sys.executable)


def run(*command, **options):
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=120, **options
    )
    return done.stdout


def rpm(root, *arguments):
    return run("rpm", "--root", str(root), "--nodeps", *arguments)


def test_it_holds_source_and_documentation_of_any_architecture(rpms):
    binary, source = rpms
    assert binary.name.endswith(".noarch.rpm")
    assert source.name.endswith(".src.rpm")
    files = run("rpm", "-qlp", str(binary)).split()
    assert not [name for name in files if name.endswith(".pyc") or "__pycache__" in name]
    assert {
        "/usr/bin/calico-mesos",
        "/usr/lib/calico-mesos/calico_mesos/plugin.py",
        "/usr/share/doc/calico-mesos/README.md",
        "/usr/share/doc/calico-mesos/modules.json",
        "/usr/share/licenses/calico-mesos/LICENSE",
    } <= set(files)
    requires = run("rpm", "-qp", "--requires", str(binary)).splitlines()
    assert [name for name in requires if not name.startswith("rpmlib(")] == [interpreter()]


def test_the_installed_command_answers(root):
    command = str(root / "usr/bin/calico-mesos")
    done = run(command, "--version", env=ENVIRON)
    assert done.strip() in (PACKAGE / "pyproject.toml").read_text()
    reply = run(command, input="{}", env=ENVIRON | {"CALICO_LOG_DIR": str(root / "var/log/calico")})
    assert json.loads(reply)["error"].startswith("request: ")
    assert "request failed" in (root / "var/log/calico/mesos.log").read_text()
    (root / "var/log/calico/mesos.log").unlink()
    assert not list(root.rglob("*.pyc"))


def test_the_example_names_the_installed_command(root):
    example = json.loads((root / "usr/share/doc/calico-mesos/modules.json").read_text())
    parameters = example["libraries"][0]["modules"][0]["parameters"]
    assert {one["key"] for one in parameters} == {"isolator_command", "ipam_command"}
    for one in parameters:
        assert os.access(f"{root}{one['value']}", os.X_OK)


def test_an_agent_uses_it(root, cluster):
    agent = cluster.agents[0]
    before, agent.command = agent.command, str(root / "usr/bin/calico-mesos")
    agent.env["PYTHONPATH"] = ENVIRON["PYTHONPATH"]
    try:
        task = agent.launch(cluster.task(0, "rpm"), "blue")
        assert sorted(task.read_addresses()) == sorted(task.addresses)
        agent.end(task)
    finally:
        agent.command = before
        del agent.env["PYTHONPATH"]
    assert cluster.left() == ([], [], 0, [])


def test_removing_it_leaves_nothing(root):
    rpm(root, "-e", "calico-mesos")
    assert not list(root.rglob("*calico*"))
