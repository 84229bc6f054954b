"""IPv6 beside IPv4: one host and two, by CNI and by Docker networks.

Source: python-era-calico reference, section 9.1 (``test_single_host_ipv6``).
"""

import json

import pytest

POOL = "fd80:24e2:f998:72d6::/112"


@pytest.fixture
def pool(node):
    """An IPv6 pool."""
    node.apply("IPPool", "six", {"cidr": POOL, "natOutgoing": False})
    return POOL


def test_one_host_by_cni(node, pool, all_reach_each_other):
    node.start("--ip6=autodetect")
    node.host.run(["calico-cni", "install", "--network-name=net1", "--ipv6-pools=six"])
    first, second = node.attach("w1"), node.attach("w2")
    assert all(end.address(6).startswith("fd80:24e2:f998:72d6::") for end in (first, second))
    all_reach_each_other(first, second)
    node.detach(second)
    assert second.address(6) not in node.host.sh("ip -6 route")


def test_two_hosts_by_docker(pair, pool, all_reach_each_other):
    for node in pair:
        node.start("--libnetwork", "--ip6=autodetect")
        node.create_network("net1", "--ipv6", "--subnet", pool)
    ends = [node.join(f"on-{node.host.name}", "net1") for node in pair]
    assert all(end.address(6).startswith("fd80:24e2:f998:72d6::") for end in ends)
    assert all(end.address(4) for end in ends)
    all_reach_each_other(*ends)
    for node, other in (pair, pair[::-1]):
        status = node.calicoctl("node", "status").stdout
        six = status.partition("IPv6 BGP status")[2]
        assert other.host.addresses[1] in six
        assert "Established" in six


def test_an_address_of_either_family_that_is_asked_for(node, pool, all_reach_each_other):
    node.start("--libnetwork", "--ip6=autodetect")
    four = json.loads(node.calicoctl("get", "ippools", "-o", "json").stdout)["items"]
    [cidr] = [one["spec"]["cidr"] for one in four if ":" not in one["spec"]["cidr"]]
    asked = cidr.partition("/")[0].rsplit(".", 1)[0] + ".77"
    node.create_network("net1", "--ipv6", "--subnet", pool, "--subnet", cidr)
    first = node.join("w1", "net1", f"--ip={asked}", "--ip6=fd80:24e2:f998:72d6::77")
    second = node.join("w2", "net1")
    assert sorted(first.addresses) == sorted([asked, "fd80:24e2:f998:72d6::77"])
    all_reach_each_other(first, second)
