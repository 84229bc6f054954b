"""What the client leaves in a real etcd is what Go Calico reads there."""

import json

import pytest

from libcalico.errors import ConflictError, NotFoundError, UnsupportedOperationError
from libcalico.testing import builders as a

RESOURCES = "/calico/resources/v3/projectcalico.org/"


def given_identity(resource):
    metadata = resource.metadata.with_(uid="U", creation_timestamp="2026-01-02T03:04:05Z")
    return resource.with_(metadata=metadata)


def test_an_initialised_cluster_holds_what_go_stores(client, etcd):
    client.ensure_initialized("v3.32.1", "k8s,bgp")
    assert etcd.stored_keys() == [
        f"{RESOURCES}clusterinformations/default",
        f"{RESOURCES}tiers/default",
        f"{RESOURCES}tiers/kube-admin",
        f"{RESOURCES}tiers/kube-baseline",
    ]
    tier = json.loads(etcd.value(f"{RESOURCES}tiers/kube-baseline"))
    assert tier["spec"] == {"order": 10000000, "defaultAction": "Pass"}
    assert tier["status"] == {}


def test_policies_are_stored_byte_for_byte(client, etcd):
    client.ensure_initialized()
    rule = a.a_rule(
        protocol="TCP",
        source={"selector": "role == 'client'"},
        destination={"ports": [80, "8080:8090", "http"]},
    )
    policy = a.a_policy(name="allow-web", ingress=[rule], selector="app == 'web'")
    client.networkpolicies.create(given_identity(policy))
    assert etcd.value(f"{RESOURCES}networkpolicies/default/allow-web") == (
        '{"kind":"NetworkPolicy","apiVersion":"projectcalico.org/v3","metadata":{"name":"allow-web",'
        '"namespace":"default","uid":"U","creationTimestamp":"2026-01-02T03:04:05Z",'
        '"labels":{"projectcalico.org/tier":"default"},'
        '"annotations":{"projectcalico.org/metadata":"{\\"name\\":\\"allow-web\\"}"}},'
        '"spec":{"tier":"default","order":100,"ingress":[{"action":"Allow","protocol":"TCP",'
        '"source":{"selector":"role == \'client\'"},'
        '"destination":{"ports":[80,"8080:8090","http"]}}],"selector":"app == \'web\'",'
        '"types":["Ingress"]}}'
    )


def test_a_resource_lives_through_all_operations(client, etcd):
    created = client.nodes.create(a.a_node(labels={"rack": "1"}))
    changed = client.nodes.update(created.with_(spec=created.spec.with_(bgp=None)))
    with pytest.raises(ConflictError):
        client.nodes.update(created)
    assert client.nodes.list() == [changed]
    revision, _ = client.nodes.list_at()
    assert revision >= int(changed.metadata.resource_version)
    client.nodes.delete("node-1")
    with pytest.raises(NotFoundError):
        client.nodes.get("node-1")
    assert f"{RESOURCES}nodes/node-1" not in etcd.stored_keys()


def test_old_policy_names_are_migrated_in_one_transaction(client, etcd):
    client.ensure_initialized()
    value = '{"metadata":{"name":"default.foo"},"spec":{"tier":"default","selector":"all()"}}'
    etcd.run("put", f"{RESOURCES}globalnetworkpolicies/default.foo", value)
    assert client.migrate_policy_names() == (["GlobalNetworkPolicy(foo)"], [])
    assert [key for key in etcd.stored_keys() if "globalnetworkpolicies" in key] == [
        f"{RESOURCES}globalnetworkpolicies/foo"
    ]
    with pytest.raises(UnsupportedOperationError):
        client.tiers.delete("default")
