"""get, patch, label, version: outputs, exit codes, and that nothing is lost on the way."""

import json
from pathlib import Path

import pytest
import yaml

DEMO = Path(__file__).parents[3] / "demo" / "resources"


@pytest.fixture
def filled(ctl, make):
    """A store with some resources of several kinds."""
    ctl.apply(
        make("IPPool", "demo", {"cidr": "10.65.0.0/16", "natOutgoing": True}),
        make("Tier", "first", {"order": 10, "defaultAction": "Pass"}),
        make("NetworkPolicy", "web", {"selector": "app == 'web'", "order": 1.5}, namespace="shop"),
        make("NetworkPolicy", "api", {"selector": "all()"}),
        make("GlobalNetworkSet", "hosts", {"nets": ["10.0.0.0/8", "fd00::/8"]}),
        make("Node", "n1", {"bgp": {"ipv4Address": "10.0.0.1/24", "asNumber": 64999}}),
        make("Node", "n2", {"bgp": {"ipv6Address": "fd00::2/64"}}),
        make("BGPConfiguration", "default", {"asNumber": 64600}),
    )
    return ctl


TABLES = [
    (("get", "pools"), "NAME   CIDR           SELECTOR   \ndemo   10.65.0.0/16   all()      \n\n"),
    (
        ("get", "ippool", "demo", "-o", "wide"),
        (
            "NAME   CIDR           NAT    IPIPMODE   VXLANMODE   DISABLED   DISABLEBGPEXPORT   SELECTOR   "
            "ASSIGNMENTMODE   \n"
            "demo   10.65.0.0/16   true   Never      Never       false      false              all()      "
            "Automatic        \n\n"
        ),
    ),
    (
        ("get", "tiers"),
        (
            "NAME            ORDER   \n"
            "first           10      \n"
            "kube-admin      1000    \n"
            "default         1e+06   \n"
            "kube-baseline   1e+07   \n\n"
        ),
    ),
    (
        ("get", "np", "-A", "-o", "wide"),
        (
            "NAMESPACE   NAME   TIER      ORDER   SELECTOR       \n"
            "default     api    default   <nil>   all()          \n"
            "shop        web    default   1.5     app == 'web'   \n\n"
        ),
    ),
    (("get", "np"), "NAME   TIER      \napi    default   \n\n"),
    (
        ("get", "networkpolicies", "-n", "shop"),
        "NAMESPACE   NAME   TIER      \nshop        web    default   \n\n",
    ),
    (
        ("get", "nodes", "-o", "wide"),
        (
            "NAME   ASN       IPV4          IPV6         \n"
            "n1     64999     10.0.0.1/24                \n"
            "n2     (64600)                 fd00::2/64   \n\n"
        ),
    ),
    (
        ("get", "gnetsets", "-owide"),
        "NAME    NETS                  \nhosts   10.0.0.0/8,fd00::/8   \n\n",
    ),
    (("get", "wep", "-A"), "NAMESPACE   WORKLOAD   NODE   NETWORKS   INTERFACE   \n\n"),
]


@pytest.mark.parametrize(("arguments", "wanted"), TABLES)
def test_tables(filled, arguments, wanted):
    assert filled.ok(*arguments) == wanted


def test_one_object_is_printed_as_itself_several_as_an_array_a_kind_as_a_list(filled):
    one = yaml.safe_load(filled.ok("get", "pool", "demo", "-o", "yaml"))
    assert (one["kind"], one["spec"]["cidr"]) == ("IPPool", "10.65.0.0/16")
    assert list(one["metadata"]) == ["creationTimestamp", "name", "resourceVersion", "uid"]
    text = filled.ok("get", "tier", "default", "first", "-o", "json")
    assert not text.endswith("\n")
    assert [tier["metadata"]["name"] for tier in json.loads(text)] == ["default", "first"]
    listed = json.loads(filled.ok("get", "nodes", "-o", "json"))
    assert list(listed) == ["kind", "apiVersion", "metadata", "items"]
    assert listed["kind"] == "NodeList"
    assert int(listed["metadata"]["resourceVersion"]) > 0
    assert filled.ok("get", "nodes", "-o", "yml") == filled.ok("get", "nodes", "-o", "yaml")


def test_what_readers_must_not_see_is_not_shown(filled):
    policy = yaml.safe_load(filled.ok("get", "np", "api", "-o", "yaml"))
    assert "annotations" not in policy["metadata"]
    assert policy["metadata"]["labels"] == {"projectcalico.org/tier": "default"}
    assert policy["spec"] == {"selector": "all()", "tier": "default", "types": ["Ingress"]}


def test_missing_objects_are_named_after_those_that_are_there(filled):
    code, out, err = filled("get", "tier", "gone", "first", "lost")
    assert code == 1
    assert out == "NAME    ORDER   \nfirst   10      \n\n"
    assert err == (
        "resource does not exist: Tier(gone) with error: <nil>\n"
        "resource does not exist: Tier(lost) with error: <nil>\n"
    )
    assert filled("get", "tier", "gone", "-o", "json").out == "null"
    assert filled("get", "tier", "gone", "-o", "yaml").out == "null\n"


def test_get_by_manifest(filled, make):
    filled.file(
        "two.yaml",
        make("IPPool", "demo", {"cidr": "10.65.0.0/16"}),
        make("NetworkPolicy", "web", {}, namespace="shop"),
    )
    assert filled.ok("get", "-f", "two.yaml") == (
        "NAME   CIDR           SELECTOR   \ndemo   10.65.0.0/16   all()      \n\n"
        "NAME   TIER      \nweb    default   \n\n"
    )


def test_export_leaves_out_what_belongs_to_the_cluster(filled):
    one = yaml.safe_load(filled.ok("get", "np", "web", "-n", "shop", "-o", "yaml", "--export"))
    assert one["metadata"] == {"name": "web", "labels": {"projectcalico.org/tier": "default"}}
    every = yaml.safe_load(filled.ok("get", "np", "-A", "-o", "yaml", "--export"))
    assert every["metadata"] == {}
    assert [item["metadata"].get("namespace") for item in every["items"]] == ["default", "shop"]
    assert not {"uid", "resourceVersion"} & every["items"][0]["metadata"].keys()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("get",), "say what to show"),
        (("get", "foos"), "resource type 'foos' is not supported"),
        (("get", "nodes", "-n", "x"), "Node is not namespaced"),
        (("get", "nodes", "-A"), "Node is not namespaced"),
        (("get", "np", "-A", "-n", "x"), "cannot use both --namespace and --all-namespaces flags"),
        (
            ("get", "np", "web", "-A"),
            "cannot use --all-namespace flag for getting a single resource",
        ),
        (("get", "nodes", ""), "resource name may not be empty"),
        (("get", "nodes", "-f", "x"), "not both"),
        (("get", "nodes", "-o", "xml"), "unrecognized output format 'xml'"),
        (("get", "nodes", "--namespce", "x"), "--namespace"),
        (("gte", "nodes"), "Did you mean 'get'?"),
        (("--log-level", "loud", "get", "nodes"), "Unknown log level: loud"),
        (("patch", "pool", "demo"), "--patch"),
        (("patch", "pool", "demo", "-p", "{"), "patch: not JSON"),
        (("patch", "pool", "demo", "-p", "[]"), "patch: expected a JSON object"),
        (
            ("patch", "pool", "demo", "-p", '{"spec":{"cdir":1}}'),
            "spec.cdir: unknown field; did you mean",
        ),
        (("patch", "pool", "demo", "-p", '{"spec":{"cidr":"x"}}'), "spec.cidr"),
        (
            ("patch", "pool", "demo", "-p", '{"spec":{"natOutgoing":"yes"}}'),
            "expected true or false",
        ),
        (("patch", "pool", "demo", "-p", '{"metadata":{"name":"x"}}'), "cannot be changed"),
        (("patch", "pool", "demo", "-p", '{"metadata":{"resourceVersion":"1"}}'), "is out of date"),
        (("patch", "pool", "gone", "-p", "{}"), "resource does not exist: IPPool(gone)"),
        (("label", "pool", "demo", "a"), "give KEY=VALUE"),
        (("label", "pool", "demo", "a=b", "--remove"), "give KEY=VALUE"),
        (
            ("label", "pool", "demo", "a", "--remove"),
            "cannot remove label of pool demo, key a does not exist",
        ),
        (("label", "pool", "demo", "a b=c"), "metadata.labels"),
        (("label", "pool", "gone", "a=b"), "resource does not exist: IPPool(gone)"),
    ],
)
def test_wrong_calls_are_one_message_and_change_nothing(filled, arguments, said):
    before = filled.etcd.get_prefix("")
    code, out, err = filled(*arguments)
    assert (code, out) == (1, "")
    assert said in err
    assert "Traceback" not in err
    assert filled.etcd.get_prefix("") == before


def test_patch_changes_and_removes(filled):
    assert filled.ok(
        "patch", "pool", "demo", "-p", '{"spec":{"natOutgoing":null,"disabled":true}}'
    ) == ("Successfully patched 1 'IPPool' resource\n")
    spec = filled.stored("ippools", "demo")["spec"]
    assert (spec["disabled"], "natOutgoing" in spec) == (True, False)
    filled.ok("patch", "-t", "merge", "np", "web", "-n", "shop", "-p", '{"spec":{"order":7}}')
    stored = filled.stored("networkpolicies", "shop/web")
    assert stored["spec"]["order"] == 7
    assert stored["metadata"]["annotations"] == {"projectcalico.org/metadata": '{"name":"web"}'}


def test_a_patch_removes_a_field_of_a_newer_version_only_when_it_says_so(filled):
    value = filled.stored("tiers", "first")
    value["spec"] |= {"colour": "red", "shape": "round"}
    filled.put("tiers", "first", value)
    filled.ok("patch", "tier", "first", "-p", '{"spec":{"order":11,"colour":null}}')
    assert filled.stored("tiers", "first")["spec"] == {
        "order": 11,
        "defaultAction": "Pass",
        "shape": "round",
    }
    assert filled("patch", "tier", "first", "-p", '{"spec":{"shape":"flat"}}').code == 1


def test_labels(filled):
    assert (
        filled.ok("label", "nodes", "n1", "rack=r1") == "Successfully set label rack on nodes n1\n"
    )
    code, _, err = filled("label", "nodes", "n1", "rack=r2")
    assert code == 1
    assert "use '--overwrite' to set a new value" in err
    assert filled.ok("label", "nodes", "n1", "rack=r2", "--overwrite") == (
        "Successfully updated label rack on nodes n1\n"
    )
    assert filled.stored("nodes", "n1")["metadata"]["labels"] == {"rack": "r2"}
    assert filled.ok("label", "nodes", "n1", "rack", "--remove") == (
        "Successfully removed label rack from nodes n1\n"
    )
    assert "labels" not in filled.stored("nodes", "n1")["metadata"]


def test_the_demo_applies_and_what_get_prints_applies_again(ctl):
    assert ctl.ok("apply", "-f", str(DEMO)).startswith("Successfully applied ")
    before = ctl.etcd.get_prefix("")
    for kind in ("ippools", "tiers", "gnp", "np", "globalnetworksets", "profiles"):
        where = ("-A",) if kind == "np" else ()
        for form in ("yaml", "json"):
            for export in ((), ("--export",)):
                text = ctl.ok("get", kind, "-o", form, *where, *export)
                ctl.ok("apply", "-f", "-", stdin=text)
    ctl.ok("replace", "-f", str(DEMO))
    after = ctl.etcd.get_prefix("")
    assert after == before


def test_a_version_needs_no_datastore(ctl):
    code, out, err = ctl("version", "--config=gone")
    assert code == 0
    assert out.splitlines()[2:] == ["Unable to detect installed Calico version"]
    assert err == "Error reading config file: gone: cannot be read: No such file or directory\n"


def test_versions(ctl, make):
    assert ctl.ok("version", "--client").startswith("Client Version:    ")
    code, out, err = ctl("version")
    assert code == 1
    assert out.startswith("Client Version:    ")
    assert err.startswith("unable to retrieve Cluster Version or Type: ")
    ctl.apply(make("Tier", "t", {}))
    value = ctl.stored("clusterinformations", "default")
    value["spec"] |= {"calicoVersion": "v3.32.1", "clusterType": "k8s,bgp"}
    ctl.put("clusterinformations", "default", value)
    assert ctl.ok("version").splitlines()[1:] == [
        "Git commit:        unknown",
        "Cluster Version:   v3.32.1",
        "Cluster Type:      k8s,bgp",
    ]
