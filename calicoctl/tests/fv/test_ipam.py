"""calicoctl ipam on a real etcd."""

import json

import pytest

from libcalico.datastore.config import connect, from_environment
from libcalico.ipam import AssignRequest, IpamClient


@pytest.fixture
def assigned(ctl, make):
    """Two addresses of one node, one of which an endpoint uses."""
    ctl.apply(
        make("IPPool", "demo", {"cidr": "10.65.0.0/24"}),
        make("Node", "n1", {"bgp": {"ipv4Address": "10.0.0.1/24"}}),
    )
    addresses = assign(ctl, "one"), assign(ctl, "two")
    endpoint = make(
        "WorkloadEndpoint",
        "n1-cni-abc-eth0",
        {
            "node": "n1",
            "orchestrator": "cni",
            "containerID": "abc",
            "endpoint": "eth0",
            "ipNetworks": [f"{addresses[0]}/32"],
            "interfaceName": "cali123",
        },
        namespace="default",
    )
    ctl.apply(endpoint)
    return addresses


def backend(ctl):
    return connect(from_environment({"ETCD_ENDPOINTS": ctl.etcd.endpoint}))


def assign(ctl, handle):
    with backend(ctl) as store:
        done = IpamClient(store).auto_assign(
            AssignRequest(host="n1", handle=handle, attributes={"node": "n1"}, num4=1)
        )
    return done.ipv4[0].address


def test_show(ctl, assigned):
    lines = ctl.ok("ipam", "show").splitlines()
    assert lines[1] == "| GROUPING |     CIDR     | IPS TOTAL | IPS IN USE | IPS FREE  |"
    assert lines[3] == "| IP Pool  | 10.65.0.0/24 |       256 | 2 (1%)     | 254 (99%) |"
    assert "| Block    |" in ctl.ok("ipam", "show", "--show-blocks")
    assert ctl.ok("ipam", "show", f"--ip={assigned[0]}") == (
        f"IP {assigned[0]} is in use\nHandle ID: one\nActive Owner Attributes:\n  node: n1\n"
    )
    assert ctl.ok("ipam", "show", "--ip", "10.65.0.250") == "10.65.0.250 is not assigned\n"
    assert "StrictAffinity" in ctl.ok("ipam", "show", "--show-configuration")
    assert "BORROWING-NODE" in ctl.ok("ipam", "show", "--show-borrowed")


def test_check_finds_the_leak_and_its_report_releases_it(ctl, assigned):
    out = ctl.ok("ipam", "check", "--show-problem-ips", "-o", "report.json")
    assert f"{assigned[1]} handle=two is leaked" in out
    assert out.endswith("Check complete; found 1 problems.\n")
    report = json.loads((ctl.folder / "report.json").read_text())
    assert report["allocations"][assigned[0]][0]["inUse"] is True
    refused = ctl("ipam", "release", "--from-report=report.json")
    assert refused.code == 1
    assert "datastore is not locked" in refused.err
    assert ctl.ok("ipam", "release", "--from-report=report.json", "--force") == (
        "Released 1 IPs successfully\n"
    )
    assert ctl.ok("ipam", "check").endswith("found 0 problems.\n")
    assert ctl.ok("ipam", "release", "--from-report=report.json", "--force").startswith(
        "Released 0 IPs successfully; 1 are no longer"
    )


def test_release(ctl, assigned):
    said = f"Successfully released IP address {assigned[1]}\n"
    assert ctl.ok("ipam", "release", f"--ip={assigned[1]}") == said
    again = ctl("ipam", "release", assigned[1])
    assert (again.code, again.out) == (0, f"IP address {assigned[1]} is not assigned\n")
    assert "deprecated" in again.err


def test_split_needs_the_lock_and_leaves_addresses_alone(ctl, assigned):
    done = ctl("ipam", "split", "4", "--name=demo")
    assert done.code == 1
    assert "datastore is not locked. Run the `calicoctl datastore migrate lock`" in done.err
    value = ctl.stored("clusterinformations", "default")
    value["spec"]["datastoreReady"] = False
    ctl.put("clusterinformations", "default", value)
    for number, said in (("3", "not a valid power of 2"), ("64", "is not large enough")):
        done = ctl("ipam", "split", number, "--cidr=10.65.0.0/24")
        assert (done.code, said in done.err) == (1, True)
    assert "unable to find IP pool" in ctl("ipam", "split", "2", "--name=gone").err
    ctl.ok("ipam", "split", "4", "--cidr=10.65.0.0/24")
    assert ctl.ok("get", "pools", "-o", "custom-columns=NAME,CIDR").split()[2:] == [
        word for n in range(4) for word in (f"split-demo-{n}", f"10.65.0.{64 * n}/26")
    ]
    assert ctl.ok("ipam", "show", f"--ip={assigned[0]}").startswith(f"IP {assigned[0]} is in use")


def test_configure(ctl):
    assert ctl.ok("ipam", "configure", "--strictaffinity=true", "--max-blocks-per-host=4") == (
        "Successfully set StrictAffinity to: true\nSuccessfully set MaxBlocksPerHost to: 4\n"
    )
    assert json.loads(ctl.etcd.get_prefix("/calico/ipam/v2/config")["/calico/ipam/v2/config"]) == {
        "strict_affinity": True,
        "auto_allocate_blocks": True,
        "maxBlocksPerHost": 4,
        "kubeVirtVMAddressPersistence": "Enabled",
    }
    done = ctl("ipam", "configure", "--strictaffinity=false")
    assert (done.code, done.err) == (1, "MaxBlocksPerHost requires StrictAffinity to be enabled\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "--ip=x"), "invalid IP address"),
        (("show", "--ip="), "invalid IP address"),
        (("show", "--ip=10.0.0.1", "--show-blocks"), "alternatives"),
        (("release",), "give --ip=IP or --from-report=FILE"),
        (("release", "--from-report=gone.json"), "gone.json: No such file"),
        (("split", "2"), "give --cidr=CIDR or --name=NAME"),
        (("configure",), "say what to change"),
    ],
)
def test_wrong_calls_are_one_message(ctl, arguments, said):
    done = ctl("ipam", *arguments)
    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert "Traceback" not in done.err
