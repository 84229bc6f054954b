import errno

import pytest

from libcalico.errors import NetlinkError
from libcalico.net.addresses import parse_cidr
from libcalico.netlink import rules
from libcalico.netlink.rules import Rule

SOURCES = pytest.mark.parametrize(
    "source", ["10.65.0.2/32", "10.65.0.0/26", "fd00:65::2/128", "fd00:65::/122"]
)
MAIN, KERNELS = 254, {4: [0, 32766, 32767], 6: [0, 32766]}


@SOURCES
@pytest.mark.parametrize("table", [100, 1003])
def test_a_rule_is_what_ip_shows_and_what_is_read_back(near, source, table):
    rule = Rule(parse_cidr(source), table, 1000)
    near.socket.request(rules.encode_add(rule))
    version = rule.src.version
    (found,) = [one for one in near.ip(f"-{version}", "rule") if one["priority"] == 1000]
    assert found["table"] == str(table)
    assert f"{found['src']}/{found.get('srclen', rule.src.prefix)}" == source
    assert rule in rules.list_rules(near.socket, version)
    with pytest.raises(NetlinkError) as refused:
        near.socket.request(rules.encode_add(rule))
    assert refused.value.errno == errno.EEXIST
    for _ in range(2):  # none is no error
        rules.delete_rule(near.socket, rule)
    assert rule not in rules.list_rules(near.socket, version)


@pytest.mark.parametrize("version", [4, 6])
def test_the_kernels_own_and_those_of_others_are_read(near, version):
    near.ip(f"-{version}", "rule", "add", "priority", "7", "unreachable")
    everything = parse_cidr("0.0.0.0/0" if version == 4 else "::/0")
    found = rules.list_rules(near.socket, version)
    assert [rule.priority for rule in found] == KERNELS[version]
    assert Rule(everything, MAIN, 32766) in found
