"""What is exported is what is imported."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from calicoctl import migration
from calicoctl.commands import datastore
from libcalico.client import Client
from libcalico.datastore import keys
from libcalico.datastore.memory import MemoryBackend
from libcalico.errors import ConfigError, ValidationError
from libcalico.ipam import AssignRequest, IpamClient
from libcalico.resources.defaults import with_defaults
from libcalico.resources.nodes import OrchRef
from libcalico.resources.validate import validate
from libcalico.testing.builders import (
    a_felix_configuration,
    a_node,
    a_policy,
    a_pool,
    a_profile,
    a_tier,
    an_endpoint,
)


def filled():
    client = Client(MemoryBackend())
    client.nodes.create(a_node())
    client.ippools.create(a_pool())
    client.tiers.create(a_tier())
    client.networkpolicies.create(a_policy(tier="platform"))
    client.profiles.create(a_profile())
    IpamClient(client.backend).auto_assign(AssignRequest(host="node-1", num4=2, handle="h"))
    client.workloadendpoints.create(an_endpoint())
    return client


def exported(client, **options):
    datastore.set_ready(client, ready=False)
    return "".join(datastore.export(client, **{"everything": True, **options}))


def stored(client):
    return {item.key: item.value for item in client.backend.read(keys.ROOT).items}


def test_an_import_makes_the_same_datastore():
    source, target = filled(), Client(MemoryBackend())
    archive = migration.parse(exported(source))
    assert datastore.import_(target, archive)[1] > 0
    assert stored(target) == stored(source)
    assert IpamClient(target.backend).problems() == []
    datastore.import_(target, archive)  # once more, as after an interruption
    assert stored(target) == stored(source)


def of_kubernetes():
    """A cluster whose node has another name in Kubernetes."""
    client = filled()
    refs = [OrchRef(node_name="kube-1", orchestrator="k8s")]
    client.nodes.modify("node-1", lambda node: node.with_(spec=node.spec.with_(orch_refs=refs)))
    client.felixconfigurations.create(a_felix_configuration(name="node.node-1"))
    client.networkpolicies.create(a_policy(name="knp.default.web"))
    tunnel = {"type": "vxlanTunnelAddress", "node": "node-1"}
    handle = "vxlan-tunnel-addr-node-1"
    request = AssignRequest(host="node-1", num4=1, handle=handle, attributes=tunnel)
    IpamClient(client.backend).auto_assign(request)
    return client


def test_for_kubernetes_there_is_nothing_that_kubernetes_makes():
    client = of_kubernetes()
    assert client.networkpolicies.get("knp.default.web", "default")
    archive = migration.parse(exported(client, everything=False))
    kinds = {r.kind for r in archive.resources}
    assert {"IPPool", "Tier", "Node", "NetworkPolicy"} <= kinds
    assert not {"Profile", "WorkloadEndpoint"} & kinds
    assert not [r for r in archive.resources if r.name.startswith("knp.")]
    assert not [r for r in archive.resources if r.metadata.uid or r.metadata.creation_timestamp]


def test_for_kubernetes_nodes_have_their_names_there():
    archive = migration.parse(exported(of_kubernetes(), everything=False))
    names = {(r.kind, r.name) for r in archive.resources}
    assert {("Node", "kube-1"), ("FelixConfiguration", "node.kube-1")} <= names
    text = json.dumps(dict(archive.ipam))
    assert "host/kube-1/" in text
    assert '"host:kube-1"' in text
    assert '"node": "kube-1"' in text
    assert "/handle/vxlan-tunnel-addr-kube-1" in text
    assert '"handle_id": "vxlan-tunnel-addr-kube-1"' in text
    assert "node-1" not in text


def test_a_node_that_kubernetes_does_not_know_is_not_exported_for_it():
    with pytest.raises(ConfigError, match=r"node-1 missing a 'k8s' orchestrator reference.*--all"):
        exported(filled(), everything=False)


def test_what_go_exported_is_imported():
    """``go-export.txt`` is written by hand in the form that Go Calico's own source writes."""
    client = Client(MemoryBackend())
    text = Path(__file__).with_name("go-export.txt").read_text()
    resources, ipam = datastore.import_(client, migration.parse(text))
    assert (resources, ipam) == (9, 4)
    for kind in ("IPPool", "Tier", "GlobalNetworkPolicy", "NetworkPolicy", "Node", "HostEndpoint"):
        for resource in client.resource(kind).list():
            assert resource.metadata.uid
            validate(with_defaults(resource))
    assert client.ippools.get("default-ipv4-ippool").spec.ipip_mode == "Always"
    assert client.networkpolicies.get("web", "shop").spec.ingress[0].destination.ports == [80]
    found = client.clusterinformations.get("default").spec
    assert (found.cluster_guid, found.datastore_ready) == (
        "0123456789abcdef0123456789abcdef",
        False,
    )
    ipam_client = IpamClient(client.backend)
    assert ipam_client.ips_by_handle("ipip-tunnel-addr-node-1") == ["192.168.84.128"]
    assert ipam_client.problems() == []
    again = "".join(datastore.export(client, everything=False))
    assert outline(again) == outline(text)


def outline(text):
    """What a file holds, for comparison: kinds and items in order, and IPAM."""
    parts = text.split("===\n")
    lists = [part for part in yaml.safe_load_all(parts[0]) if part]
    items = [
        (part["kind"], item["metadata"]["name"], item["spec"])
        for part in lists
        for item in part["items"] or ()
    ]
    return [part["kind"] for part in lists], items, json.loads(parts[2])


def test_a_datastore_that_may_change_is_not_exported():
    with pytest.raises(ConfigError, match="datastore is not locked"):
        datastore.export(filled(), everything=False)


def test_a_datastore_in_use_is_not_overwritten():
    archive = migration.parse(exported(filled()))
    target = filled()
    before = stored(target)
    with pytest.raises(ConfigError, match="import needs an empty one"):
        datastore.import_(target, archive)
    assert stored(target) == before


@given(st.text() | st.lists(st.text(), min_size=3, max_size=3).map("\n===\n".join))
def test_other_files_are_refused(text):
    with pytest.raises(ValidationError):
        migration.parse(text)
