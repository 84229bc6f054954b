"""Commands that write, on the in-memory datastore."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calicoctl import forms
from calicoctl.commands import change, read, write
from libcalico.client import Client
from libcalico.datastore.memory import MemoryBackend
from libcalico.errors import AlreadyExistsError, NotFoundError, UnavailableError, ValidationError
from libcalico.manifests import ManifestError
from libcalico.resources.defaults import with_defaults
from libcalico.resources.model import ObjectMeta, ResourceId
from libcalico.resources.networksets import GlobalNetworkSet, NetworkSetSpec
from libcalico.resources.policy import (
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    Tier,
    TierSpec,
)

MANIFEST = """\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web, labels: {team: a}}
spec: {selector: app == 'web', order: 10}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: hosts}
spec: {nets: [10.0.0.0/8]}
"""


@pytest.fixture
def client() -> Client:
    return Client(MemoryBackend())


def resources(tmp_path, text=MANIFEST, namespace=None):
    file = tmp_path / "m.yaml"
    file.write_text(text)
    return write.load(str(file), namespace, recursive=False)


def test_apply_creates_and_then_replaces(client, tmp_path):
    first = write.run("apply", resources(tmp_path), client)
    assert first.news() == "Successfully applied 2 resource(s)"
    changed = MANIFEST.replace("{team: a}", "{team: b}").replace("10}", "20}")
    assert write.run("apply", resources(tmp_path, changed), client).succeeded
    stored = client.networkpolicies.get("web", "default")
    assert stored.spec.order == 20
    assert stored.metadata.labels["team"] == "b"


def test_create_refuses_what_exists_and_goes_on(client, tmp_path):
    write.run("create", resources(tmp_path)[:1], client)
    outcome = write.run("create", resources(tmp_path), client)
    assert outcome.done == 1
    assert "resource already exists: NetworkPolicy(default/web)" in outcome.complaint()
    again = write.run("create", resources(tmp_path), client, ignore=AlreadyExistsError)
    assert again.succeeded


def test_replace_refuses_what_does_not_exist(client, tmp_path):
    outcome = write.run("replace", resources(tmp_path)[:1], client)
    assert not outcome.succeeded
    assert "does not exist" in outcome.complaint()


def test_delete_removes_and_may_skip_what_is_gone(client, tmp_path):
    write.run("apply", resources(tmp_path), client)
    assert write.run("delete", resources(tmp_path), client).succeeded
    assert not write.run("delete", resources(tmp_path), client).succeeded
    assert write.run("delete", resources(tmp_path), client, ignore=NotFoundError).succeeded
    named = write.named("NetworkPolicy", ["web"], "default")
    assert write.run("delete", named, client, ignore=NotFoundError).succeeded


def test_one_wrong_document_means_that_none_is_used(tmp_path):
    wrong = MANIFEST.replace("app == 'web'", "app = 'web'").replace("10.0.0.0/8", "10.0.0.300/8")
    with pytest.raises(ManifestError) as refused:
        resources(tmp_path, wrong)
    assert len(refused.value.problems) == 2
    assert "document 1 (NetworkPolicy web): spec.selector" in refused.value.problems[0]
    assert "document 2 (GlobalNetworkSet hosts): spec.nets[0]" in refused.value.problems[1]


def test_the_namespace_option_must_agree(tmp_path):
    assert resources(tmp_path, namespace="shop")[0].namespace == "shop"
    text = MANIFEST.replace("name: web,", "name: web, namespace: shop,")
    with pytest.raises(ManifestError, match="shop != other"):
        resources(tmp_path, text, namespace="other")


def test_cluster_information_is_read_only(client, tmp_path):
    text = "apiVersion: projectcalico.org/v3\nkind: ClusterInformation\nmetadata: {name: default}\n"
    outcome = write.run("apply", resources(tmp_path, text), client)
    assert "resource is readonly" in outcome.complaint()


def test_patch_changes_a_field_and_keeps_the_others(client, tmp_path):
    write.run("apply", resources(tmp_path), client)
    web = ResourceId("NetworkPolicy", "default", "web")
    change.patch(client, web, change.parse_patch('{"spec": {"order": 5}}'))
    stored = client.networkpolicies.get("web", "default")
    assert (stored.spec.order, stored.spec.selector) == (5, "app == 'web'")
    change.patch(client, web, {"metadata": {"labels": {"team": None}}})
    assert "team" not in client.networkpolicies.get("web", "default").metadata.labels


def test_a_patch_must_leave_a_valid_resource(client, tmp_path):
    write.run("apply", resources(tmp_path), client)
    web = ResourceId("NetworkPolicy", "default", "web")
    for patch, said in (
        ({"spec": {"ordre": 1}}, "ordre"),
        ({"metadata": {"name": "x"}}, "cannot be changed"),
    ):
        with pytest.raises(ValidationError, match=said):
            change.patch(client, web, patch)
    assert client.networkpolicies.get("web", "default").spec.order == 10


def test_labels_are_set_updated_and_removed(client, tmp_path):
    write.run("apply", resources(tmp_path), client)
    hosts = ResourceId("GlobalNetworkSet", "", "hosts")
    assert "set label role" in change.label(client, hosts, "role", "host", overwrite=False)
    with pytest.raises(ValidationError, match="--overwrite"):
        change.label(client, hosts, "role", "x", overwrite=False)
    assert "updated label role" in change.label(client, hosts, "role", "x", overwrite=True)
    assert "removed label role" in change.label(client, hosts, "role", None, overwrite=False)
    with pytest.raises(ValidationError, match="does not exist"):
        change.label(client, hosts, "role", None, overwrite=False)


def test_get_prints_what_is_there_and_names_what_is_missing(client, tmp_path):
    write.run("apply", resources(tmp_path), client)
    found = read.by_kind("np", ["web", "gone"], "default", everywhere=False)(client)
    text = read.render(client, found, forms.parse("ps"), show_namespace=False, export=False)
    assert text == "NAME   TIER      \nweb    default   \n\n"
    assert found.missing == [
        "resource does not exist: NetworkPolicy(default/gone) with error: <nil>"
    ]


def test_get_of_nothing_by_name_is_null(client):
    found = read.by_kind("tier", ["gone"], None, everywhere=False)(client)
    assert (
        read.render(client, found, forms.parse("json"), show_namespace=False, export=False)
        == "null"
    )


class Leaving(MemoryBackend):
    """A datastore that goes away after so many writes."""

    def __init__(self, writes):
        super().__init__()
        self.left = writes

    def create(self, key, value):
        self.left -= 1
        if self.left < 0:
            raise UnavailableError("datastore: gone")
        return super().create(key, value)


@pytest.mark.parametrize("writers", [1, 8])
def test_a_datastore_that_goes_away_half_way_leaves_an_account_of_what_was_done(tmp_path, writers):
    def create(writes):
        return write.run("create", resources(tmp_path), Client(Leaving(writes)), writers=writers)

    outcome = create(5)
    assert outcome.complaint() == (
        "Partial success: created 1 out of 2 resources:\nhit error(s): [datastore: gone]"
    )
    with pytest.raises(UnavailableError):
        create(4)
    with pytest.raises(UnavailableError):
        create(0)


def a_set(number, nets):
    metadata = ObjectMeta(name=f"set{number}")
    return GlobalNetworkSet(metadata=metadata, spec=NetworkSetSpec(nets=nets))


def a_tier(number, order):
    return Tier(metadata=ObjectMeta(name=f"tier{number}"), spec=TierSpec(order=order))


def a_policy(number, tier):
    spec = GlobalNetworkPolicySpec(tier=f"tier{tier}")
    return with_defaults(
        GlobalNetworkPolicy(metadata=ObjectMeta(name=f"policy{number}"), spec=spec)
    )


few = st.integers(0, 3)
batches = st.lists(
    st.builds(a_set, few, st.sampled_from([["10.0.0.0/8"], ["11.0.0.0/8"]]))
    | st.builds(a_tier, few, st.sampled_from([1.0, 2.0]))
    | st.builds(a_policy, few, few),
    max_size=12,
)


def contents(client):
    """What is stored, without what differs from one run to another."""
    found = (client.tiers, client.globalnetworksets, client.globalnetworkpolicies)
    return [(r.kind, r.name, r.spec, r.metadata.labels) for kind in found for r in kind.list()]


@given(st.lists(st.tuples(st.sampled_from(["create", "apply", "replace", "delete"]), batches)))
@settings(max_examples=50, deadline=None)
def test_several_writers_do_and_say_what_one_does(steps):
    one, several = Client(MemoryBackend()), Client(MemoryBackend())
    for verb, batch in steps:
        expected = write.run(verb, batch, one)
        assert write.run(verb, batch, several, writers=4) == expected
        assert contents(several) == contents(one)
