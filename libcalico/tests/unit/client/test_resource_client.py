import json
import logging
import re

import pytest
from hypothesis import given, settings

from libcalico.client import Client
from libcalico.datastore import keys
from libcalico.datastore.memory import MemoryBackend, MemoryStore
from libcalico.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    UnsupportedOperationError,
    ValidationError,
)
from libcalico.resources.ippools import IPPool, IPPoolSpec
from libcalico.resources.model import ObjectMeta, ResourceId, id_of
from libcalico.resources.policy import Tier
from libcalico.resources.registry import KINDS
from libcalico.resources.staged import TieredPolicy
from libcalico.testing import builders as a
from libcalico.testing.strategies import resources

TIME = "2026-01-02T03:04:05Z"


def stored(backend, kind, name, namespace=""):
    return json.loads(backend.get(keys.path_of(ResourceId(kind, namespace, name))).value)


def labelled(resource, **labels):
    return resource.with_(metadata=resource.metadata.with_(labels=labels))


@given(resources())
@settings(max_examples=40)
def test_what_is_created_is_what_is_read(resource):
    with MemoryBackend(MemoryStore()) as backend:
        client = Client(backend)
        client.ensure_initialized()
        if isinstance(resource, TieredPolicy):
            client.tiers.apply(a.a_tier(name="platform"))
        if resource.kind in ("Tier", "ClusterInformation"):
            created = client.resource(resource.kind).apply(resource)
        else:
            created = client.resource(resource.kind).create(resource)
        found = client.resource(resource.kind)
        assert found.get(resource.name, resource.namespace) == created
        assert created in found.list()
        assert created.spec == resource.spec
        assert found.update(created).spec == created.spec


def test_creation_completes_identifies_and_stores(client, backend):
    pool = client.ippools.create(
        IPPool(metadata=ObjectMeta(name="p"), spec=IPPoolSpec(cidr="10.0.0.0/16"))
    )
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-.{12}", pool.metadata.uid
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", pool.metadata.creation_timestamp)
    assert pool.metadata.resource_version == str(backend.get(keys.path_of(id_of(pool))).revision)
    assert stored(backend, "IPPool", "p") == {
        "kind": "IPPool",
        "apiVersion": "projectcalico.org/v3",
        "metadata": {
            "name": "p",
            "uid": pool.metadata.uid,
            "creationTimestamp": pool.metadata.creation_timestamp,
        },
        "spec": {
            "cidr": "10.0.0.0/16",
            "vxlanMode": "Never",
            "ipipMode": "Never",
            "blockSize": 26,
            "nodeSelector": "all()",
            "allowedUses": ["Workload", "Tunnel"],
            "assignmentMode": "Automatic",
        },
    }


def test_a_uid_and_a_time_that_are_given_stay(client):
    pool = a.a_pool()
    metadata = pool.metadata.with_(uid="U", creation_timestamp=TIME)
    created = client.ippools.create(pool.with_(metadata=metadata))
    assert (created.metadata.uid, created.metadata.creation_timestamp) == ("U", TIME)


def test_a_breach_of_the_rules_stores_nothing(client, backend):
    with pytest.raises(ValidationError, match=r"spec\.blockSize"):
        client.ippools.create(a.a_pool(block_size=99))
    assert client.ippools.list() == []


def test_creating_again_is_refused(client):
    created = client.ippools.create(a.a_pool())
    text = r"resource already exists: IPPool\(pool\) with error: <nil>"
    with pytest.raises(AlreadyExistsError, match=text):
        client.ippools.create(a.a_pool())
    with pytest.raises(ValidationError, match=r"metadata\.resourceVersion: must be empty"):
        client.ippools.create(created)


def test_missing_resources_are_named(client):
    with pytest.raises(
        NotFoundError, match=r"resource does not exist: IPPool\(x\) with error: <nil>"
    ):
        client.ippools.get("x")
    with pytest.raises(NotFoundError, match=r"NetworkSet\(ns/x\)"):
        client.networksets.get("x", "ns")
    with pytest.raises(NotFoundError, match=r"IPPool\(x\)"):
        client.ippools.delete("x")
    with pytest.raises(NotFoundError, match=r"NetworkSet\(ns/x\)"):
        client.networksets.delete("x", "ns")


def test_namespaces_are_where_they_belong(client):
    with pytest.raises(ValidationError, match="needs a namespace"):
        client.networksets.get("x")
    with pytest.raises(ValidationError, match="has no namespace"):
        client.ippools.get("x", "ns")
    with pytest.raises(ValidationError, match="resource name may not be empty"):
        client.ippools.get("")
    with pytest.raises(ValidationError, match="'pod' is not known"):
        client.resource("pod")


def test_an_update_is_made_once_for_each_read(client):
    created = client.networksets.create(a.a_network_set())
    updated = client.networksets.update(labelled(created, a="b"))
    assert int(updated.metadata.resource_version) > int(created.metadata.resource_version)
    assert updated.metadata.uid == created.metadata.uid
    with pytest.raises(ConflictError, match=r"update conflict: NetworkSet\(default/nets\)"):
        client.networksets.update(labelled(created, a="c"))
    client.networksets.delete("nets", "default")
    with pytest.raises(NotFoundError):
        client.networksets.update(updated)


def test_an_update_needs_what_was_read(client):
    with pytest.raises(ValidationError) as caught:
        client.networksets.update(a.a_network_set())
    assert [text.split(":")[0] for text in caught.value.problems] == [
        "metadata.resourceVersion",
        "metadata.creationTimestamp",
        "metadata.uid",
    ]
    created = client.networksets.create(a.a_network_set())
    odd = created.with_(metadata=created.metadata.with_(resource_version="x"))
    with pytest.raises(ValidationError, match="'x' is no version"):
        client.networksets.update(odd)


def test_a_deletion_may_ask_for_a_version(client):
    created = client.networksets.create(a.a_network_set())
    changed = client.networksets.update(labelled(created, a="b"))
    with pytest.raises(ConflictError):
        client.networksets.delete(
            "nets", "default", resource_version=created.metadata.resource_version
        )
    client.networksets.delete("nets", "default", resource_version=changed.metadata.resource_version)
    assert client.networksets.list() == []


def test_lists_are_of_all_namespaces_or_of_one(client):
    for namespace in ("ns", "ns-2"):
        client.networksets.create(a.a_network_set(namespace=namespace))
    assert [found.namespace for found in client.networksets.list()] == ["ns-2", "ns"]
    assert [found.namespace for found in client.networksets.list("ns")] == ["ns"]
    revision, found = client.networksets.list_at()
    assert revision == max(int(each.metadata.resource_version) for each in found)


def test_apply_creates_then_replaces(client):
    first = client.networksets.apply(a.a_network_set(labels={"a": "b"}, annotations={"x": "y"}))
    second = client.networksets.apply(a.a_network_set(nets=["10.0.0.0/8"]))
    assert second.spec.nets == ["10.0.0.0/8"]
    assert (second.metadata.labels, second.metadata.annotations) == ({}, {})
    assert second.metadata.uid == first.metadata.uid
    assert second.metadata.creation_timestamp == first.metadata.creation_timestamp


def test_an_exported_document_is_created_anew(client):
    document = a.a_network_set(labels={"a": "b"})
    exported = document.with_(
        metadata=document.metadata.with_(uid="U", creation_timestamp=TIME, finalizers=["x"])
    )
    created = client.networksets.apply(exported).metadata
    assert created.uid != "U"
    assert created.creation_timestamp != TIME
    assert (created.labels, created.finalizers) == ({"a": "b"}, [])


def test_replace_needs_what_exists(client):
    with pytest.raises(NotFoundError):
        client.networksets.replace(a.a_network_set())


def test_a_document_with_an_old_version_is_refused(client):
    created = client.networksets.create(a.a_network_set())
    client.networksets.update(labelled(created, a="b"))
    text = r"update conflict: NetworkSet\(default/nets\): resource version '\d+' is out of date"
    with pytest.raises(ConflictError, match=text):
        client.networksets.apply(created)


def test_apply_of_a_document_with_a_version_does_not_create(client):
    created = client.networksets.create(a.a_network_set())
    client.networksets.delete("nets", "default")
    with pytest.raises(NotFoundError):
        client.networksets.apply(created)


def test_apply_keeps_the_status_that_others_report(client):
    created = client.ippools.create(a.a_pool())
    client.ippools.update(created.with_(status={"conditions": []}))
    assert client.ippools.apply(a.a_pool()).status == {"conditions": []}


def test_modify_tries_again_after_a_lost_race(client):
    client.networksets.create(a.a_network_set())
    seen = []

    def add_net(found):
        seen.append(found.metadata.resource_version)
        if len(seen) == 1:
            client.networksets.update(labelled(found, racer="won"))
        return found.with_(spec=found.spec.with_(nets=["10.0.0.0/8"]))

    changed = client.networksets.modify("nets", add_net, "default")
    assert (changed.spec.nets, changed.metadata.labels) == (["10.0.0.0/8"], {"racer": "won"})
    assert len(seen) == 2


def test_modify_gives_up_when_it_always_loses(backend):
    """Pauses grow, and differ from writer to writer, so that contenders get out of step."""
    pauses = []
    client = Client(backend, pause=pauses.append)
    client.networksets.create(a.a_network_set())

    def race(found):
        client.networksets.update(labelled(found, racer="won"))
        return found

    with pytest.raises(ConflictError, match="gave up after 5 tries"):
        client.networksets.modify("nets", race, "default")
    assert len(pauses) == 4
    for pause, longest in zip(pauses, (0.1, 0.2, 0.4, 0.8), strict=True):
        assert longest / 2 <= pause <= longest


def test_a_change_that_wins_waits_for_nobody(backend):
    pauses = []
    client = Client(backend, pause=pauses.append)
    client.networksets.apply(a.a_network_set())
    client.networksets.apply(a.a_network_set(labels={"a": "b"}))
    assert pauses == []


def test_values_that_cannot_be_read_are_left_out_of_lists(client, backend, caplog):
    client.tiers.create(a.a_tier())
    path = keys.path_of(ResourceId("Tier", "", "broken"))
    backend.put(path, b'{"spec":{"order":"x"}}')
    with caplog.at_level(logging.WARNING):
        assert "broken" not in [tier.name for tier in client.tiers.list()]
    assert path in caplog.text
    with pytest.raises(ValidationError, match=rf"stored at {path}: spec\.order"):
        client.tiers.get("broken")


def test_unknown_fields_survive_read_modify_write(client, backend):
    client.tiers.create(a.a_tier())
    path = keys.path_of(ResourceId("Tier", "", "platform"))
    value = json.loads(backend.get(path).value)
    value["spec"]["colour"] = {"deep": [1, 2]}
    value["metadata"]["managedFields"] = [{}]
    backend.put(path, json.dumps(value).encode())
    client.tiers.modify("platform", lambda tier: labelled(tier, a="b"))
    value["metadata"]["labels"] = {"a": "b"}
    assert stored(backend, "Tier", "platform") == value


def test_unknown_fields_survive_a_replacement(client, backend):
    client.tiers.create(a.a_tier())
    path = keys.path_of(ResourceId("Tier", "", "platform"))
    value = json.loads(backend.get(path).value)
    value["spec"]["colour"] = {"deep": [1, 2]}
    value["later"] = True
    backend.put(path, json.dumps(value).encode())
    client.tiers.apply(a.a_tier(order=7.0))
    value["spec"]["order"] = 7
    assert stored(backend, "Tier", "platform") == value


def test_unknown_fields_of_members_survive_a_replacement_that_keeps_the_members(client, backend):
    first, second = a.a_rule(), a.a_rule("Deny", protocol="TCP")
    client.globalnetworkpolicies.create(a.a_global_policy(ingress=[first, second, first]))
    path = keys.path_of(ResourceId("GlobalNetworkPolicy", "", "policy"))
    value = json.loads(backend.get(path).value)
    for index, rule in enumerate(value["spec"]["ingress"]):
        rule["later"] = index
    value["spec"]["ingress"][1]["source"]["deep"] = True
    backend.put(path, json.dumps(value).encode())
    added = a.a_rule("Log")
    client.globalnetworkpolicies.apply(a.a_global_policy(ingress=[added, second, first, first]))
    rules = stored(backend, "GlobalNetworkPolicy", "policy")["spec"]["ingress"]
    assert [rule.get("later") for rule in rules] == [None, 1, 0, 2]
    assert rules[1]["source"] == {"deep": True}


def test_a_changed_member_takes_no_unknown_field_of_its_predecessor(client, backend):
    client.globalnetworkpolicies.create(a.a_global_policy())
    path = keys.path_of(ResourceId("GlobalNetworkPolicy", "", "policy"))
    value = json.loads(backend.get(path).value)
    value["spec"]["ingress"][0]["later"] = "only on Sundays"
    backend.put(path, json.dumps(value).encode())
    client.globalnetworkpolicies.apply(a.a_global_policy(ingress=[a.a_rule("Deny")]))
    assert "later" not in stored(backend, "GlobalNetworkPolicy", "policy")["spec"]["ingress"][0]


def test_the_status_that_controllers_reported_survives_a_replacement(client, backend):
    config = client.kubecontrollersconfigurations.create(a.a_kube_controllers_configuration())
    status = config.status.with_(environment_vars={"LOG_LEVEL": "debug"})
    client.kubecontrollersconfigurations.update(config.with_(status=status))
    given = a.a_kube_controllers_configuration(debug_profile_port=1)
    document = given.with_(status=type(given)().status)
    client.kubecontrollersconfigurations.apply(document)
    value = stored(backend, "KubeControllersConfiguration", "default")
    assert value["status"]["environmentVars"] == {"LOG_LEVEL": "debug"}
    assert value["spec"]["debugProfilePort"] == 1


def test_the_key_names_the_object(client, backend):
    backend.put(
        keys.path_of(ResourceId("NetworkSet", "ns", "x")),
        b'{"kind":"Node","metadata":{"name":"other"},"spec":{"nets":["10.0.0.0/8"]}}',
    )
    assert id_of(client.networksets.get("x", "ns")) == ResourceId("NetworkSet", "ns", "x")


def test_pools_of_other_writers_are_read_complete(client, backend):
    backend.put(
        keys.path_of(ResourceId("IPPool", "", "bare")),
        b'{"metadata":{"name":"bare"},"spec":{"cidr":"fd00::/64"}}',
    )
    assert client.ippools.get("bare").spec.block_size == 122


def test_the_profile_that_allows_everything_is_there_and_never_stored(client, backend):
    profile = client.profiles.get("projectcalico-default-allow")
    assert [rule.action for rule in profile.spec.ingress + profile.spec.egress] == [
        "Allow",
        "Allow",
    ]
    assert profile.metadata.resource_version == "1"
    client.profiles.create(a.a_profile())
    assert [p.name for p in client.profiles.list()] == ["default", "projectcalico-default-allow"]
    assert len(backend.read(keys.resource_prefix("Profile")).items) == 1
    with pytest.raises(AlreadyExistsError):
        client.profiles.create(a.a_profile(name="projectcalico-default-allow"))
    for operation in (
        lambda: client.profiles.delete("projectcalico-default-allow"),
        lambda: client.profiles.modify("projectcalico-default-allow", _aged),
    ):
        with pytest.raises(UnsupportedOperationError, match=r"not supported on Profile\(project"):
            operation()


def _aged(profile):
    return profile.with_(metadata=profile.metadata.with_(uid="U", creation_timestamp=TIME))


def test_every_kind_has_a_client(client):
    for kind, resource_class in KINDS.items():
        assert client.resource(kind) is getattr(client, resource_class.INFO.plural)


def test_tiers_are_typed(client):
    tier: Tier = client.tiers.get("default")
    assert tier.spec.order == 1_000_000


def test_apply_gives_up_when_the_object_comes_and_goes(client, backend):
    """Another writer creates before each create, and deletes before each replacement."""

    class Flapping(type(backend)):
        def get(self, key):
            return None

    flapping = Flapping(backend.store)
    client.networksets.create(a.a_network_set())
    with flapping, pytest.raises(ConflictError, match="gave up after 5 tries"):
        Client(flapping).networksets.apply(a.a_network_set())
