"""What ipam check finds, and what a release from its reports takes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calicoctl import ipam_report, ipam_tables
from libcalico.errors import ValidationError
from libcalico.ipam import Allocation, Audit, IpamConfig, PoolUsage
from libcalico.ipam.plan.usage import ORPHANS, BlockUsage
from libcalico.resources.nodes import NodeBGPSpec, NodeWireguardSpec
from libcalico.testing.builders import a_cluster_information, a_node, a_pool, an_endpoint

BLOCK = "10.65.0.0/26"


def allocation(number, **fields):
    given = {"block": BLOCK, "block_owner": "host:n1", "attributes": {"node": "n1"}, **fields}
    return Allocation(address=f"10.65.0.{number}", handle=f"h{number}", sequence=number, **given)


def known(allocations, endpoints=(), nodes=(), **fields):
    audit = Audit(
        blocks=[(BLOCK, "host:n1")],
        allocations=allocations,
        handles=fields.get("handles", {}),
        unstored=fields.get("unstored", ()),
        problems=fields.get("problems", ()),
    )
    return ipam_report.inventory(audit, [a_pool()], endpoints, nodes)


def endpoint(name, *numbers):
    return an_endpoint(container_id=name, ip_networks=[f"10.65.0.{n}/32" for n in numbers])


def test_what_fits_is_no_problem():
    node = a_node(
        bgp=NodeBGPSpec(ipv4_ipip_tunnel_addr="10.65.0.2"),
        ipv4_vxlan_tunnel_addr="10.65.0.3",
        vxlan_tunnel_mac_addr="66:00:00:00:00:01",
        wireguard=NodeWireguardSpec(interface_ipv4_address="10.65.0.4"),
    )
    inventory = known([allocation(n) for n in (1, 2, 3, 4)], [endpoint("a", 1)], [node])
    found = ipam_report.compare(inventory)
    assert found.problems == 0
    assert len(found.used) == 4
    text = ipam_report.text(inventory, found, every=False, problems=False)
    assert text.endswith("Check complete; found 0 problems.")
    assert "Found 3 node tunnel IPs." in text


def test_every_kind_of_problem_is_found_once():
    inventory = known(
        [allocation(1), allocation(2)],
        [endpoint("a", 1), endpoint("b", 1, 9), an_endpoint(container_id="c", ip_networks=["10.9.9.9/32"])],
        handles={"h1": True, "h2": True, "idle": False},
        unstored=["lost"],
        problems=["blocks overlap"],
    )  # fmt: skip
    found = ipam_report.compare(inventory)
    assert [a.address for a in found.leaked] == ["10.65.0.2"]
    assert list(found.shared) == ["10.65.0.1"]
    assert (found.outside, found.unassigned) == (["10.9.9.9"], ["10.65.0.9"])
    assert (found.idle_handles, found.unstored_handles) == (["idle"], ["lost"])
    assert found.problems == 7
    text = ipam_report.text(inventory, found, every=False, problems=True)
    assert "10.65.0.2 handle=h2 is leaked" in text
    assert "Found 1 IPs that are allocated in IPAM but not actually in use." in text


def test_addresses_of_the_load_balancer_and_reserved_ones_are_not_leaked():
    reserved = Allocation(address="10.65.0.0", handle="windows-reserved-ipam-handle", block=BLOCK)
    found = ipam_report.compare(
        known([allocation(1, block_owner="virtual:load-balancer"), reserved])
    )
    assert found.leaked == []


@given(st.sets(st.integers(0, 63)), st.sets(st.integers(0, 63)))
def test_an_allocation_is_leaked_exactly_if_nobody_uses_it(assigned, used):
    inventory = known([allocation(n) for n in assigned], [endpoint("a", *used)])
    found = ipam_report.compare(inventory)
    assert {a.sequence for a in found.leaked} == assigned - used
    assert len(found.unassigned) == len(used - assigned)


def report(*leaked, used=()):
    inventory = known([allocation(n) for n in (*leaked, *used)], [endpoint("a", *used)])
    cluster = a_cluster_information()
    made = ipam_report.as_json(inventory, ipam_report.compare(inventory), cluster)
    return json.loads(json.dumps(made))


def test_only_what_all_reports_call_leaked_is_released():
    guid = a_cluster_information().spec.cluster_guid
    found = ipam_report.leaked_in_all([report(1, 2, 10), report(10, 2, used=[1])], guid)
    assert [(r.address, r.handle, r.sequence) for r in found] == [
        ("10.65.0.2", "h2", 2),
        ("10.65.0.10", "h10", 10),
    ]
    with pytest.raises(ValidationError, match="report 1 is of the cluster"):
        ipam_report.leaked_in_all([report(1)], "other")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_what_is_no_report_is_refused(allocations):
    try:
        found = ipam_report.leaked_in_all([{"clusterGUID": "g", "allocations": allocations}], "g")
    except ValidationError as error:
        found = str(error)
    assert found == [] or "no report" in found


def test_tables():
    usages = [
        PoolUsage("pool", "10.65.0.0/16", (BlockUsage(BLOCK, 64, 60),)),
        PoolUsage(ORPHANS, "0.0.0.0/0", (BlockUsage("10.9.0.0/26", 64, 63),)),
    ]
    assert ipam_tables.usage(usages, blocks=False).splitlines()[3] == (
        "| IP Pool  | 10.65.0.0/16 |     65536 | 4 (0%)     | 65532 (100%) |"
    )
    grouped = [
        line.split("|")[1].strip()
        for line in ipam_tables.usage(usages, blocks=True).splitlines()
        if "|" in line
    ]
    assert grouped == ["GROUPING", "IP Pool", "Block", "Orphaned Block"]
    lent = allocation(5, attributes={"node": "n2", "namespace": "shop", "pod": "web"})
    silent = allocation(6, attributes={})
    text = ipam_tables.borrowed([allocation(4), lent, silent])
    assert (
        "| 10.65.0.5 | n2             | 10.65.0.0/26 | n1          | pod  | shop/web     |" in text
    )
    assert "10.65.0.4" not in text
    assert "Note: 1 allocation(s)" in text
    assert "| StrictAffinity               | false   |" in ipam_tables.configuration(IpamConfig())
