"""create, apply, replace, delete, validate: what they write, say, and leave alone."""

import json

import pytest
import yaml


@pytest.fixture
def pool(make):
    return make("IPPool", "demo", {"cidr": "10.65.0.0/16"})


@pytest.fixture
def policy(make):
    return make(
        "NetworkPolicy", "web", {"selector": "app == 'web'", "order": 100}, namespace="shop"
    )


def test_create_refuses_what_exists_and_does_the_rest(ctl, make, pool):
    ctl.file("pools.yaml", pool, make("IPPool", "other", {"cidr": "10.66.0.0/16"}))
    ctl.apply(pool)
    before = ctl.text("ippools", "demo")
    code, out, err = ctl("create", "-f", "pools.yaml")
    assert (code, out) == (1, "")
    assert err == (
        "Partial success: created 1 out of 2 'IPPool' resources:\n"
        "hit error(s): [resource already exists: IPPool(demo) with error: <nil>]\n"
    )
    assert ctl.text("ippools", "demo") == before
    assert ctl.keys() == ["ippools/demo", "ippools/other"]
    code, _, err = ctl("create", "-f", "pools.yaml")
    assert code == 1
    assert err.startswith("failed to create any 'IPPool' resources: [resource already exists:")
    assert ctl.ok("create", "-f", "pools.yaml", "--skip-exists") == (
        "Successfully created 2 'IPPool' resource(s)\n"
    )


def test_create_gives_an_identity_of_its_own(ctl, pool):
    pool["metadata"] |= {
        "uid": "mine",
        "creationTimestamp": "2001-01-01T00:00:00Z",
        "labels": {"a": "b"},
        "finalizers": ["example.com/gone"],
        "ownerReferences": [{"kind": "Pod", "name": "p"}],
        "generateName": "demo-",
    }
    ctl.ok("create", "-f", "-", stdin=json.dumps(pool))
    metadata = ctl.stored("ippools", "demo")["metadata"]
    assert metadata["uid"] != "mine"
    assert not metadata["creationTimestamp"].startswith("2001")
    assert metadata["labels"] == {"a": "b"}
    assert {*metadata} == {"name", "uid", "creationTimestamp", "labels"}


def test_apply_keeps_identity_and_replaces_labels(ctl, policy):
    policy["metadata"]["labels"] = {"old": "yes"}
    ctl.apply(policy)
    before = ctl.stored("networkpolicies", "shop/web")
    policy["metadata"]["labels"] = {"new": "yes"}
    policy["spec"]["order"] = 5
    ctl.apply(policy)
    after = ctl.stored("networkpolicies", "shop/web")
    assert after["metadata"].pop("labels") == {"new": "yes", "projectcalico.org/tier": "default"}
    before["metadata"].pop("labels")
    before["spec"]["order"] = 5
    assert after == before


def test_replace_needs_what_exists(ctl, pool):
    ctl.file("pool.yaml", pool)
    code, out, err = ctl("replace", "-f", "pool.yaml")
    assert (code, out) == (1, "")
    assert err == (
        "failed to replace 'IPPool' resource: [resource does not exist: IPPool(demo) with error: <nil>]\n"
    )
    ctl.apply(pool)
    ctl.file("pool.yaml", {**pool, "spec": {**pool["spec"], "natOutgoing": True}})
    assert ctl.ok("replace", "-f", "pool.yaml") == "Successfully replaced 1 'IPPool' resource(s)\n"
    assert ctl.stored("ippools", "demo")["spec"]["natOutgoing"] is True


def test_delete_by_file_and_by_name(ctl, make, pool, policy):
    sets = [make("GlobalNetworkSet", name, {"nets": []}) for name in ("a", "b")]
    ctl.apply(pool, policy, *sets)
    ctl.file("both.yaml", pool, policy)
    assert ctl.ok("delete", "-f", "both.yaml") == "Successfully deleted 2 resource(s)\n"
    assert ctl.ok("delete", "gnetsets", "a", "b") == (
        "Successfully deleted 2 'GlobalNetworkSet' resource(s)\n"
    )
    assert ctl.keys() == []
    code, out, err = ctl("delete", "globalnetworkset", "a")
    assert (code, out) == (1, "")
    assert "resource does not exist: GlobalNetworkSet(a)" in err
    assert ctl.ok("delete", "globalnetworkset", "a", "--skip-not-exists")
    assert ctl.ok("delete", "-s", "-f", "both.yaml")


def test_delete_looks_in_the_namespace_asked_for(ctl, policy):
    ctl.apply(policy)
    assert ctl("delete", "np", "web").code == 1
    assert ctl.keys() == ["networkpolicies/shop/web"]
    ctl.ok("delete", "np", "web", "-n", "shop")
    assert ctl.keys() == []


def test_delete_by_an_old_manifest_that_breaks_todays_rules(ctl, pool):
    ctl.apply(pool)
    ctl.file("old.yaml", {**pool, "spec": {"cidr": "10.65.0.1/16"}})
    assert ctl("apply", "-f", "old.yaml").code == 1
    ctl.ok("delete", "-f", "old.yaml")
    assert ctl.keys() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("delete", "tiers"), "say which tiers to delete, by name"),
        (("delete", "tiers", ""), "resource name may not be empty"),
        (("delete",), "give the resources with -f FILE"),
        (("delete", "tiers", "x", "-f", "y"), "not both"),
        (("delete", "tiers", "x", "-n", "ns"), "Tier is not namespaced"),
        (("delete", "caliconodestatus", "x"), "resource type 'caliconodestatus' is not supported"),
        (("apply",), "give the resources with -f FILE"),
        (("apply", "-f", "gone.yaml"), "gone.yaml: cannot be read: No such file or directory"),
        (("apply", "-f", "empty.yaml"), "no resources specified in file empty.yaml"),
        (("create", "-f", "folder"), "no resources specified in file folder"),
    ],
)
def test_wrong_calls_are_one_message_and_exit_code_1(ctl, arguments, said):
    (ctl.folder / "empty.yaml").write_text("# nothing\n---\n")
    (ctl.folder / "folder").mkdir()
    code, out, err = ctl(*arguments)
    assert (code, out) == (1, "")
    assert said in err
    assert "Traceback" not in err
    assert ctl.etcd.get_prefix("") == {}


def test_an_empty_input_may_be_skipped(ctl):
    for verb in ("create", "apply", "replace", "delete", "validate"):
        assert ctl.ok(verb, "--skip-empty", "-f", "-", stdin="---\n") == ""


def test_lists_json_arrays_and_folders_are_read(ctl, make):
    sets = [make("GlobalNetworkSet", f"n{i}", {"nets": []}) for i in range(6)]
    as_list = {
        "kind": "GlobalNetworkSetList",
        "apiVersion": "projectcalico.org/v3",
        "items": sets[:2],
    }
    assert ctl.ok("apply", "-f", "-", stdin=json.dumps(as_list)).startswith(
        "Successfully applied 2"
    )
    assert ctl.ok("apply", "-f", "-", stdin=json.dumps(sets[2:4])).startswith(
        "Successfully applied 2"
    )
    ctl.file("folder/4.yaml", sets[4])
    ctl.file("folder/deep/5.yml", sets[5])
    (ctl.folder / "folder" / "notes.txt").write_text("no manifest: [")
    assert ctl.ok("apply", "-f", "folder").startswith("Successfully applied 1")
    assert ctl.ok("apply", "-R", "-f", "folder").startswith("Successfully applied 2")
    assert ctl.keys() == [f"globalnetworksets/n{i}" for i in range(6)]


GOOD = """\
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: good}
spec: {nets: [10.0.0.0/8]}
---
"""
WRONG = [
    (
        "kind: GlobalNetworkPolicy\nmetadata: {name: x}\nspec:\n  selector: all()\n  ordre: 1\n",
        ":11: document 2 (GlobalNetworkPolicy x): spec.ordre: unknown field; did you mean 'order'?",
    ),
    (
        "kind: GlobalNetworkPolicy\nmetadata: {name: x}\nspec:\n  ingress:\n  - action: allow\n",
        (
            ":11: document 2 (GlobalNetworkPolicy x): spec.ingress[0].action: 'allow' is not allowed;"
            " write 'Allow'"
        ),
    ),
    (
        "kind: Tier\nmetadata: {name: x}\nspec:\n  order: high\n",
        ":10: document 2 (Tier x): spec.order:",
    ),
    (
        "kind: IPPool\nmetadata: {name: x}\nspec:\n  cidr: 10.0.0.1/8\n",
        ":10: document 2 (IPPool x): spec.cidr:",
    ),
    ("kind: IPPool\nmetadata: [name\n", ": not valid YAML or JSON: "),
    ("kind: Tier\nmetadata: {name: x}\nkind: Node\n", ":9: 'kind' is given twice"),
    ("kind: Pool\nmetadata: {name: x}\n", "unknown resource type (Pool) and/or version"),
    ("metadata: {name: x}\n", "kind: missing"),
    ("kind: Tier\nmetadata: {name: Not_A_Name}\n", "metadata.name"),
    ("kind: Tier\nmetadata: {name: x, namespace: ns}\n", "Tier is not a namespaced resource"),
    (
        "kind: NetworkSet\nmetadata: {name: x, namespace: a}\n",
        "does not match client namespace. a != ns",
    ),
]


@pytest.mark.parametrize("verb", ["create", "apply", "replace", "validate"])
@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_wrong_document_is_named_and_nothing_is_written(ctl, verb, text, said):
    (ctl.folder / "mixed.yaml").write_text(f"{GOOD}apiVersion: projectcalico.org/v3\n{text}")
    options = ("-n", "ns") if "NetworkSet" in text else ()
    code, out, err = ctl(verb, "-f", "mixed.yaml", *options)
    assert (code, out) == (1, "")
    assert said in err
    assert err.startswith("failed to execute command: mixed.yaml:")
    assert "Traceback" not in err
    assert ctl.etcd.get_prefix("") == {}


def test_all_mistakes_of_all_files_come_at_once(ctl):
    (ctl.folder / "d").mkdir()
    for number, (text, _) in enumerate(WRONG[:4]):
        (ctl.folder / "d" / f"{number}.yaml").write_text(
            f"{GOOD}apiVersion: projectcalico.org/v3\n{text}"
        )
    err = ctl("apply", "-f", "d").err.removeprefix("failed to execute command: ")
    assert [line.split(":")[0] for line in err.splitlines()] == [f"d/{n}.yaml" for n in range(4)]


@pytest.mark.parametrize(
    "raw", [b"\xff\xfe", b"\x00", b"[" * 5000, b"a: !!python/object:os.system {}"]
)
def test_rubbish_on_standard_input_is_one_message(ctl, raw):
    code, out, err = ctl("apply", "-f", "-", stdin=raw)
    assert (code, out) == (1, "")
    assert err.startswith("failed to execute command: stdin")
    assert len(err.splitlines()) == 1


def test_a_file_that_may_not_be_read_is_named(ctl):
    (ctl.folder / "loop.yaml").symlink_to("loop.yaml")
    code, _, err = ctl("apply", "-f", "loop.yaml")
    assert code == 1
    assert err.startswith("failed to execute command: loop.yaml: cannot be read: ")


def test_validate_needs_no_datastore(ctl, pool):
    ctl.file("pool.yaml", pool)
    out = ctl.ok("validate", "-f", "pool.yaml", ETCD_ENDPOINTS="http://127.0.0.1:1")
    assert out == "Successfully validated 1 'IPPool' resource(s)\n"


def test_a_port_range_without_quotes_is_a_port_range(ctl, make):
    ctl.ok(
        "apply",
        *("-f", "-"),
        stdin="apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: x}\n"
        "spec: {ingress: [{action: Allow, protocol: TCP, destination: {ports: [22:53]}}]}\n",
    )
    rule = ctl.stored("globalnetworkpolicies", "x")["spec"]["ingress"][0]
    assert rule["destination"] == {"ports": ["22:53"]}


def test_a_document_with_a_resource_version_replaces_that_version_only(ctl, pool):
    ctl.apply(pool)
    version = json.loads(ctl.ok("get", "pool", "demo", "-o", "json"))["metadata"]["resourceVersion"]
    ctl.ok("label", "pool", "demo", "a=b")
    before = ctl.text("ippools", "demo")
    pool["metadata"]["resourceVersion"] = version
    for verb in ("apply", "replace"):
        code, _, err = ctl(verb, "-f", "-", stdin=json.dumps(pool))
        assert code == 1
        assert (
            f"update conflict: IPPool(demo): resource version '{version}' is out of date (latest:"
            in err
        )
    assert ctl.text("ippools", "demo") == before


def test_fields_of_a_newer_version_survive(ctl, make):
    ctl.apply(make("Tier", "t", {"order": 1}))
    value = ctl.stored("tiers", "t")
    value["later"] = {"a": [1]}
    value["spec"]["colour"] = "red"
    value["metadata"]["managedFields"] = [{}]
    ctl.put("tiers", "t", value)
    ctl.apply(make("Tier", "t", {"order": 2}))
    ctl.ok("patch", "tier", "t", "-p", '{"spec": {"defaultAction": "Pass"}}')
    ctl.ok("label", "tier", "t", "a=b")
    value["spec"] |= {"order": 2, "defaultAction": "Pass"}
    value["metadata"]["labels"] = {"a": "b"}
    assert ctl.stored("tiers", "t") == value
    code, _, err = ctl("apply", "-f", "-", stdin=json.dumps(make("Tier", "t", {"colour": "red"})))
    assert code == 1
    assert "spec.colour: unknown field" in err


def test_a_policy_needs_its_tier(ctl, make):
    policy = make("GlobalNetworkPolicy", "p", {"tier": "gone"})
    code, _, err = ctl("create", "-f", "-", stdin=json.dumps(policy))
    assert code == 1
    assert "resource does not exist: Tier(gone)" in err
    ctl.apply(make("Tier", "gone", {"order": 1}), policy)


def test_tiers_are_protected(ctl, make):
    ctl.apply(make("Tier", "t", {"order": 1}), make("NetworkPolicy", "p", {"tier": "t"}))
    for tier, why in (
        ("default", "Cannot delete default tier"),
        ("kube-admin", "Cannot delete kube-admin tier"),
        ("t", "Cannot delete a non-empty tier"),
    ):
        code, _, err = ctl("delete", "tier", tier)
        assert code == 1
        assert f"operation delete is not supported on Tier({tier}): {why}" in err
    ctl.ok("delete", "np", "p")
    ctl.ok("delete", "tier", "t")


@pytest.mark.parametrize(
    "arguments",
    [
        ("apply", "-f", "info.yaml"),
        ("delete", "-f", "info.yaml"),
        ("delete", "clusterinformation", "default"),
        ("patch", "clusterinformation", "default", "-p", '{"spec": {"datastoreReady": false}}'),
        ("label", "clusterinformation", "default", "a=b"),
    ],
)
def test_cluster_information_is_read_only(ctl, make, pool, arguments):
    ctl.apply(pool)
    before = ctl.text("clusterinformations", "default")
    ctl.file("info.yaml", make("ClusterInformation", "default", {"datastoreReady": False}))
    code, _, err = ctl(*arguments)
    assert code == 1
    assert "ClusterInformation(default): resource is readonly" in err
    assert ctl.text("clusterinformations", "default") == before


def test_the_built_in_profile_stays_as_it_is(ctl, make):
    allow = [{"action": "Allow"}]
    profile = make("Profile", "projectcalico-default-allow", {"ingress": allow, "egress": allow})
    ctl.apply(profile)
    assert ctl.keys() == []
    del profile["spec"]["egress"]
    code, _, err = ctl("apply", "-f", "-", stdin=json.dumps(profile))
    assert code == 1
    assert "is not supported on Profile(projectcalico-default-allow)" in err


def test_policies_of_kubernetes_are_left_alone(ctl, make):
    policy = make("NetworkPolicy", "knp.default.p", {"selector": "all()"})
    code, _, err = ctl("apply", "-f", "-", stdin=json.dumps(policy))
    assert code == 1
    assert "kubernetes network policies must be managed through the kubernetes API" in err
    assert "through the kubernetes API" in ctl("delete", "np", "knp.default.p").err
    assert "does not exist" in ctl("get", "np", "knp.default.p").err


def test_pools_may_not_overlap_and_keep_their_blocks(ctl, make, pool):
    ctl.apply(pool)
    code, _, err = ctl(
        *("apply", "-f", "-"), stdin=json.dumps(make("IPPool", "b", {"cidr": "10.65.1.0/24"}))
    )
    assert code == 1
    assert "IPPool(b) CIDR overlaps with IPPool(demo) CIDR 10.65.0.0/16" in err
    pool["spec"]["blockSize"] = 28
    assert "BlockSize cannot be modified" in ctl("apply", "-f", "-", stdin=json.dumps(pool)).err


def test_deleting_a_pool_gives_its_affinities_back(ctl, pool):
    ctl.apply(pool)
    affinity = "/calico/ipam/v2/host/n/ipv4/block/10.65.0.0-26"
    ctl.etcd.put(affinity, '{"state":"confirmed"}')
    ctl.etcd.put(
        "/calico/ipam/v2/assignment/ipv4/block/10.65.0.0-26",
        json.dumps(
            {
                "cidr": "10.65.0.0/26",
                "affinity": "host:n",
                "allocations": [None] * 64,
                "unallocated": list(range(64)),
                "attributes": [],
                "deleted": False,
                "sequenceNumber": 1,
                "sequenceNumberForAllocation": {},
            }
        ),
    )
    assert ctl.ok("delete", "ippool", "demo") == "Successfully deleted 1 'IPPool' resource(s)\n"
    assert ctl.etcd.get_prefix("/calico/ipam/") == {}
    assert ctl.keys() == []


def test_deleting_a_node_takes_along_what_hangs_on_it(ctl, make):
    endpoint = {
        "orchestrator": "cni",
        "node": "n",
        "containerID": "c1",
        "endpoint": "eth0",
        "interfaceName": "cali1",
        "ipNetworks": ["10.65.0.1/32"],
    }
    other = {**endpoint, "node": "m", "ipNetworks": ["10.65.0.2/32"]}
    ctl.apply(
        make("Node", "n", {"bgp": {"ipv4Address": "10.0.0.1/24"}}),
        make("Node", "m", {"bgp": {"ipv4Address": "10.0.0.2/24"}}),
        make("WorkloadEndpoint", "n-cni-c1-eth0", endpoint, namespace="ns"),
        make("WorkloadEndpoint", "m-cni-c1-eth0", other, namespace="ns"),
        make("BGPPeer", "of-n", {"node": "n", "peerIP": "10.0.0.9", "asNumber": 64512}),
        make("BGPPeer", "global", {"peerIP": "10.0.0.9", "asNumber": 64512}),
        make("FelixConfiguration", "node.n", {}),
        make("BGPConfiguration", "node.n", {}),
    )
    assert ctl.ok("delete", "node", "n") == "Successfully deleted 1 'Node' resource(s)\n"
    assert ctl.keys() == ["bgppeers/global", "nodes/m", "workloadendpoints/ns/m-cni-c1-eth0"]


def test_a_manifest_can_come_from_a_pipe(ctl, pool):
    ctl.ok("apply", "-f", "/dev/stdin", stdin=yaml.safe_dump(pool))


@pytest.mark.parametrize("form", ["strategic", "merge", "json"])
def test_patches_of_any_type_are_merged_as_by_go(ctl, make, form):
    ctl.apply(make("Tier", "t", {"order": 1, "defaultAction": "Pass"}))
    ctl.ok("patch", "tier", "t", "-t", form, "-p", '{"spec": {"order": 5}}')
    assert ctl.stored("tiers", "t")["spec"] == {"order": 5, "defaultAction": "Pass"}
    done = ctl("patch", "tier", "t", "-t", form, "-p", '[{"op": "remove", "path": "/spec/order"}]')
    assert (done.code, "expected a JSON object" in done.err) == (1, True)


def test_deletions_tell_what_was_done_and_each_failure(ctl, make):
    ctl.apply(make("Tier", "t", {}))
    code, out, err = ctl("delete", "tier", "gone", "t", "default")
    assert (code, out) == (1, "Successfully deleted 1 'Tier' resource(s)\n")
    failed = "Failed to delete 'Tier' resource: "
    assert err.splitlines() == [
        f"{failed}resource does not exist: Tier(gone) with error: <nil>",
        f"{failed}operation delete is not supported on Tier(default): Cannot delete default tier",
    ]
