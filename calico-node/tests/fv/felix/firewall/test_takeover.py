"""A host that Go Felix was on: what it left in iptables and nftables goes, what others have there stays."""

from contextlib import closing

import pytest

from calico_node.felix.firewall.apply import HostFirewall
from calico_node.felix.firewall.model import FirewallSettings

pytestmark = pytest.mark.root

#: As Go Felix with iptables has it, in short, beside rules of an operator and of kube-proxy.
FILTER = """
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:KUBE-FORWARD - [0:0]
:cali-FORWARD - [0:0]
:cali-from-wl-dispatch - [0:0]
:cali-fw-cali1234567890a - [0:0]
:operators - [0:0]
-A INPUT -i eth9 -j ACCEPT
-A FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -j operators
-A FORWARD -m comment --comment "cali:S93hcgKJrXEqnTfs" -m mark --mark 0x10000/0x10000 -j ACCEPT
-A cali-FORWARD -i cali+ -m comment --comment "cali:8ZoYfO5HKXWbB3pk" -j cali-from-wl-dispatch
-A cali-from-wl-dispatch -i cali1234567890a -g cali-fw-cali1234567890a
-A cali-from-wl-dispatch -m comment --comment "cali:zTj6P0TIgYvgz-md" -j DROP
-A cali-fw-cali1234567890a -j ACCEPT
-A operators -i eth8 -j ACCEPT
COMMIT
"""
NAT = """
*nat
:POSTROUTING ACCEPT [0:0]
:cali-POSTROUTING - [0:0]
-A POSTROUTING -j cali-POSTROUTING
-A POSTROUTING -s 10.88.0.0/16 -j MASQUERADE
COMMIT
"""
#: As Go Felix with nftables has it, in short.
TABLES = """
table ip calico {
    map filter-cali-from-wl-dispatch {
        type ifname : verdict
        elements = { "cali1" : goto filter-cali-fw-cali1 }
    }
    chain filter-cali-fw-cali1 {
        drop
    }
    chain filter-FORWARD {
        type filter hook forward priority 0
        iifname vmap @filter-cali-from-wl-dispatch
        iifname "cali*" drop
    }
}
table ip6 calico {
    chain filter-FORWARD {
        type filter hook forward priority 0
        drop
    }
}
table arp calico-arp {
    chain filter-OUTPUT {
        type filter hook output priority 0
    }
}
table ip operators {
    chain calico {
        drop
    }
}
"""


@pytest.fixture
def firewall(netns):
    with closing(netns.call(lambda: HostFirewall(FirewallSettings()))) as made:
        yield made


def saved(netns):
    return netns.run(["iptables-nft-save"]).stdout + netns.run(["ip6tables-nft-save"]).stdout


def test_its_chains_and_tables_go_and_those_of_others_stay(netns, firewall):
    for program in ("iptables-nft-restore", "ip6tables-nft-restore"):
        netns.run([program], stdin=FILTER if "6" in program else FILTER + NAT)
    netns.run(["nft", "-f", "-"], stdin=TABLES)
    before = saved(netns)
    firewall.start()
    assert not firewall.problem
    after = saved(netns)
    assert "cali" not in after
    theirs = [line for line in before.splitlines() if "cali" not in line and line[0] in ":-"]
    assert theirs
    assert [line for line in after.splitlines() if line[0] in ":-"] == theirs
    tables = netns.run(["nft", "list", "tables"]).stdout.splitlines()
    assert not [table for table in tables if "calico" in table]
    assert "table ip operators" in tables


def test_where_nothing_was_left_nothing_is_changed(netns, firewall):
    netns.run(["iptables-nft-restore"], stdin="*filter\n-A INPUT -i eth9 -j DROP\nCOMMIT\n")
    before = saved(netns)
    firewall.start()
    assert saved(netns) == before
    assert not firewall.problem
