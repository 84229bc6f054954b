import json

import pytest

from libcalico.datastore import keys
from libcalico.errors import NotFoundError, UnsupportedOperationError
from libcalico.resources.model import ResourceId
from libcalico.testing import builders as a


def value_of(backend, policy):
    which = ResourceId(policy.kind, policy.namespace, policy.name)
    return json.loads(backend.get(keys.path_of(which)).value)


def put(backend, name, **fields):
    value = {"metadata": {"name": name, **fields.pop("metadata", {})}, "spec": fields}
    which = ResourceId("GlobalNetworkPolicy", "", name)
    backend.put(keys.path_of(which), json.dumps(value).encode())


POLICIES = [a.a_policy, a.a_global_policy, a.a_staged_policy, a.a_staged_global_policy]


@pytest.mark.parametrize("build", POLICIES)
def test_the_name_is_stored_in_an_annotation_that_nobody_sees(client, backend, build):
    clients = client.resource(build().kind)
    created = clients.create(build(name="deny", annotations={"a": "b"}))
    value = value_of(backend, created)
    assert value["metadata"]["annotations"] == {
        "a": "b",
        "projectcalico.org/metadata": '{"name":"deny"}',
    }
    assert value["metadata"]["labels"] == {"projectcalico.org/tier": "default"}
    assert created.metadata.annotations == {"a": "b"}
    found = clients.get("deny", created.namespace)
    assert found == created
    clients.update(found)
    assert value_of(backend, created)["metadata"]["annotations"] == value["metadata"]["annotations"]


def test_a_policy_needs_its_tier(client):
    with pytest.raises(NotFoundError, match=r"resource does not exist: Tier\(platform\)"):
        client.networkpolicies.create(a.a_policy(tier="platform"))
    client.tiers.create(a.a_tier(name="platform"))
    assert client.networkpolicies.create(a.a_policy(tier="platform")).spec.tier == "platform"


@pytest.mark.parametrize("build", POLICIES)
def test_a_tier_with_a_policy_stays(client, build):
    client.tiers.create(a.a_tier(name="platform"))
    policy = client.resource(build().kind).create(build(tier="platform"))
    with pytest.raises(UnsupportedOperationError, match="Cannot delete a non-empty tier"):
        client.tiers.delete("platform")
    client.resource(policy.kind).delete(policy.name, policy.namespace)
    client.tiers.delete("platform")


@pytest.mark.parametrize("build", POLICIES)
def test_every_policy_needs_its_tier(client, build):
    with pytest.raises(NotFoundError, match=r"resource does not exist: Tier\(platform\)"):
        client.resource(build().kind).create(build(tier="platform"))


def test_a_policy_may_be_moved_to_a_tier_that_does_not_exist_yet(client):
    created = client.networkpolicies.create(a.a_policy())
    moved = client.networkpolicies.update(created.with_(spec=created.spec.with_(tier="later")))
    assert moved.metadata.labels["projectcalico.org/tier"] == "later"


def test_policies_of_old_releases_are_shown_without_the_prefix_of_their_tier(client, backend):
    put(backend, "default.foo", tier="default")
    put(backend, "default.bar", tier="")
    put(backend, "default.kept", tier="platform")
    put(
        backend,
        "default.new",
        tier="default",
        metadata={"annotations": {"projectcalico.org/metadata": '{"name":"default.new"}'}},
    )
    put(
        backend,
        "odd",
        tier="default",
        metadata={"annotations": {"projectcalico.org/metadata": "[]"}},
    )
    names = sorted(policy.name for policy in client.globalnetworkpolicies.list())
    assert names == ["bar", "default.kept", "default.new", "foo", "odd"]
    with pytest.raises(NotFoundError):
        client.globalnetworkpolicies.get("foo")


def test_the_label_of_the_tier_is_added_on_reading(client, backend):
    put(backend, "plain", tier="platform")
    labels = client.globalnetworkpolicies.get("plain").metadata.labels
    assert labels == {"projectcalico.org/tier": "platform"}


def test_old_names_can_be_migrated(client, backend):
    put(backend, "default.foo", tier="default", selector="all()")
    put(backend, "default.taken", tier="default", selector="all()")
    client.globalnetworkpolicies.create(a.a_global_policy(name="taken", selector="has(a)"))
    moved, kept = client.migrate_policy_names()
    assert moved == ["GlobalNetworkPolicy(foo)"]
    assert [text.split(": ")[0] for text in kept] == ["GlobalNetworkPolicy(default.taken)"]
    assert "globalnetworkpolicies/taken': exists already" in kept[0]
    assert client.globalnetworkpolicies.get("foo").spec.selector == "all()"
    assert client.globalnetworkpolicies.get("taken").spec.selector == "has(a)"
    assert backend.get(keys.path_of(ResourceId("GlobalNetworkPolicy", "", "default.foo"))) is None
    client.globalnetworkpolicies.delete("default.taken")
    assert client.migrate_policy_names() == ([], [])


@pytest.mark.parametrize("name", ["default", "kube-admin", "kube-baseline"])
def test_built_in_tiers_cannot_be_deleted(client, name):
    text = rf"operation delete is not supported on Tier\({name}\): Cannot delete {name} tier"
    with pytest.raises(UnsupportedOperationError, match=text):
        client.tiers.delete(name)


@pytest.mark.parametrize("build", [a.a_policy, a.a_global_policy])
def test_a_tier_goes_when_it_is_empty(client, build):
    client.tiers.create(a.a_tier(name="platform"))
    policy = client.resource(build().kind).create(build(tier="platform"))
    with pytest.raises(UnsupportedOperationError, match="Cannot delete a non-empty tier"):
        client.tiers.delete("platform")
    client.resource(policy.kind).delete(policy.name, policy.namespace)
    client.tiers.delete("platform")
    with pytest.raises(NotFoundError):
        client.tiers.get("platform")


def test_policies_that_cannot_be_read_are_not_migrated(client, backend, caplog):
    path = keys.path_of(ResourceId("GlobalNetworkPolicy", "", "default.bad"))
    backend.put(path, b"{")
    put(backend, "plain", tier="default")
    assert client.migrate_policy_names() == ([], [])
    assert path in caplog.text
