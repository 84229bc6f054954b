"""Name and MTU of the host."""

import os

import pytest

from libnetwork_plugin import host


def test_the_name_is_the_one_that_calico_node_uses(tmp_path):
    assert host.node_name({}, tmp_path) == os.uname().nodename.lower()
    (tmp_path / "nodename").write_text("Host-1\n")
    assert host.node_name({}, tmp_path) == "host-1"
    assert host.node_name({"NODENAME": "rack1-a"}, tmp_path) == "rack1-a"


@pytest.mark.parametrize(
    ("text", "mtu"), [("1450\n", 1450), ("", 1500), ("many", 1500), ("12", 1500), ("70000", 1500)]
)
def test_the_mtu_is_the_one_that_felix_found(tmp_path, text, mtu):
    assert host.mtu(tmp_path) == 1500
    (tmp_path / "mtu").write_text(text)
    assert host.mtu(tmp_path) == mtu
