"""Whatever text and numbers objects hold, the kernel can be told what they ask for."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from calico_node.felix.calc.graph import Calculation
from calico_node.felix.nft.apply import encode
from calico_node.felix.nft.plan import replace_table
from calico_node.felix.program.program import Program
from calico_node.felix.program.settings import RuleSettings
from calico_node.felix.shaping import plan
from libcalico.datastore import keys
from libcalico.netlink import qdiscs
from libcalico.resources.model import ResourceId

#: What a key can hold in the place of a name.
NAMES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="/"), min_size=1)
LONGEST = 253
NUMBERS = st.integers(0, 2**63 - 1)
DIRECTIONS = ("ingress", "egress")
LIMITS = [
    f"{direction}{name}"
    for direction in DIRECTIONS
    for name in (
        *("Bandwidth", "Burst", "Peakrate", "Minburst"),
        *("PacketRate", "PacketBurst", "MaxConnections"),
    )
]
ALLOW, LOG = {"action": "Allow"}, {"action": "Log"}


def told(*objects):
    """Return what the calculation tells of objects, given as kind, name and spec."""
    calculation = Calculation("here")
    for kind, name, spec in objects:
        key = keys.path_of(ResourceId(kind, "ns" if kind == "WorkloadEndpoint" else "", name))
        calculation.on_update(key, json.dumps({"spec": spec}).encode())
    return calculation.flush()


def programmed(changes):
    """Return the table of these changes, after all of it was put into the kernel's words."""
    program = Program(RuleSettings())
    program.apply(changes)
    table = program.table()
    encode(replace_table(table))
    return table


def workload(**spec):
    usual = {"node": "here", "interfaceName": "cali1", "ipNetworks": ["10.65.0.1/32"]}
    return "WorkloadEndpoint", "here-cni-a-eth0", {**usual, **spec}


@given(NAMES)
@example("t" * LONGEST)
@example('a "quoted"\nname')
def test_names_of_any_length_and_letters(name):
    noted = {**ALLOW, "metadata": {"annotations": {name: name}}}
    rules = {"ingress": [LOG, noted], "egress": [LOG, noted]}
    policy = {"selector": "all()", "types": ["Ingress", "Egress"], "tier": name, **rules}
    changes = told(
        workload(profiles=[name]),
        ("Tier", name, {"order": 1}),
        ("Profile", name, rules),
        ("GlobalNetworkPolicy", name, policy),
        ("HostEndpoint", name, {"node": "here", "interfaceName": "eth0", "profiles": [name]}),
    )
    comments = [r.comment for c in programmed(changes).chains.values() for r in c.rules]
    assert all(" " <= letter <= "~" and letter != '"' for text in comments for letter in text)


@given(NAMES | st.text(max_size=LONGEST))
@example("")
@example("i" * 16)
@example("eth0/1")
def test_a_host_endpoint_of_no_interface_governs_nothing_and_is_reported(name):
    changes = told(("HostEndpoint", "h", {"node": "here", "interfaceName": name}))
    programmed(changes)
    governed = set(changes.host_endpoints)
    assert governed == {name} or (not governed and (not name or changes.problems))


@pytest.mark.parametrize("name", ["eth0", "*", "wg~1", "\u00fcn\u00ef", "i" * 15])
def test_every_name_that_the_kernel_takes_is_governed(name):
    changes = told(("HostEndpoint", "h", {"node": "here", "interfaceName": name}))
    assert set(changes.host_endpoints) == {name}
    assert not changes.problems


@given(st.dictionaries(st.sampled_from(LIMITS), NUMBERS))
@example({"ingressMaxConnections": 2**32})
@example({"egressPacketRate": 1, "egressPacketBurst": 2**32})
@example({"ingressBandwidth": 8, "ingressPeakrate": 9, "ingressMinburst": 2**32})
def test_limits_that_the_kernel_cannot_count_are_reported(controls):
    changes = told(workload(qosControls=controls))
    programmed(changes)
    for endpoint in changes.endpoints.values():
        for limits in map(endpoint.quality.limits, DIRECTIONS):
            if (bucket := plan.bucket(limits)) is not None:
                qdiscs.encode_bucket(1, 1, bucket)
    assert bool(changes.endpoints) != bool(changes.problems)
