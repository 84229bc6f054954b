"""Which endpoints are meant, and how they are shown, on a store in memory."""

import json

import pytest

from calicoctl.commands import endpoints, profiles
from calicoctl.commands.endpoints import Filter
from libcalico.client import Client
from libcalico.datastore.memory import MemoryBackend, MemoryStore
from libcalico.errors import NotFoundError, ValidationError
from libcalico.resources.endpoints import WorkloadEndpoint, WorkloadEndpointSpec
from libcalico.resources.model import ObjectMeta
from libcalico.resources.names import name_of
from libcalico.resources.profiles import Profile


def spec_of(node, orchestrator, workload, endpoint="eth0"):
    named = {"cni": "container_id", "k8s": "pod"}.get(orchestrator, "workload")
    return WorkloadEndpointSpec(
        **{"node": node, "orchestrator": orchestrator, named: workload, "endpoint": endpoint},
        interface_name="cali1",
        ip_networks=["10.65.0.1/32"],
        profiles=["web"],
    )


@pytest.fixture
def client():
    made = Client(MemoryBackend(MemoryStore()))
    for node, orchestrator, workload, endpoint, namespace in (
        ("n1", "cni", "abc", "eth0", "default"),
        ("n1", "cni", "abc", "eth1", "default"),
        ("n1", "k8s", "pod", "eth0", "prod"),
        ("n2", "docker", "abc", "eth1", "default"),
        ("n2", "docker", "abc-1", "eth1", "default"),
    ):
        spec = spec_of(node, orchestrator, workload, endpoint)
        metadata = ObjectMeta(name=name_of(spec), namespace=namespace)
        made.workloadendpoints.create(WorkloadEndpoint(metadata=metadata, spec=spec))
    return made


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Filter(), 5),
        (Filter(host="n1"), 3),
        (Filter(orchestrator="docker"), 2),
        (Filter(workload="abc"), 3),
        (Filter(workload="pod", orchestrator="k8s"), 1),
        (Filter(host="n1", endpoint="eth0"), 2),
        (Filter(endpoint="n1-cni-abc-eth1"), 1),
        (Filter(host="n2", orchestrator="cni"), 0),
    ],
)
def test_filters_are_anded(client, wanted, count):
    assert len(endpoints.matching(client, wanted)) == count


def test_a_workload_is_not_its_longer_neighbour(client):
    (found,) = endpoints.of_workload(client, "n2", "docker", "abc")
    assert found.spec.workload == "abc"
    assert endpoints.of_workload(client, "n2", "docker", "ab") == []


def rows(table):
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_the_summary_counts_workloads_and_endpoints(client):
    shown = rows(endpoints.summary(endpoints.matching(client, Filter())))
    assert shown == [["n1", "cni", "1", "2"], ["n1", "k8s", "1", "1"], ["n2", "docker", "2", "2"]]


def test_the_state_is_what_felix_reports(client):
    where = "/calico/felix/v2/no-region/host/n1/workload/cni/default%2fabc/endpoint"
    client.backend.put(f"{where}/eth0", json.dumps({"status": "up"}).encode())
    client.backend.put(f"{where}/eth1", b"nonsense")
    shown = rows(endpoints.detailed(client, endpoints.matching(client, Filter(host="n1"))))
    assert [row[-1] for row in shown] == ["up", "unknown", "unknown"]
    assert shown[0][:5] == ["n1", "cni", "abc", "eth0", "10.65.0.1/32"]
    client.profiles.create(Profile(metadata=ObjectMeta(name="web")))
    client.profiles.create(Profile(metadata=ObjectMeta(name="unused")))
    members = rows(profiles.table(client, detailed=True))
    assert ["unused", *["None"] * 5] in members
    web = [e for e in endpoints.matching(client, Filter()) if "web" in e.spec.profiles]
    assert sorted(row[1] for row in members if row[0] == "web") == sorted(e.spec.node for e in web)
    assert [row[-1] for row in members if row[1:5] == ["n1", "cni", "abc", "eth0"]] == ["up"]


def test_one_endpoint_is_meant_or_it_is_told_how_to_say_which(client):
    assert endpoints.only(client, Filter(endpoint="eth0", workload="pod")).namespace == "prod"
    with pytest.raises(
        ValidationError, match=r"3 endpoints are called eth1, such as n1-cni-abc-eth1"
    ):
        endpoints.only(client, Filter(endpoint="eth1"))
    with pytest.raises(NotFoundError, match="no endpoint eth9"):
        endpoints.only(client, Filter(endpoint="eth9"))


def test_a_profile_that_does_not_exist_changes_nothing(client):
    client.profiles.create(Profile(metadata=ObjectMeta(name="db")))
    stored = endpoints.only(client, Filter(workload="pod", endpoint="eth0"))
    with pytest.raises(NotFoundError, match=r"no profile gone, lost; make it"):
        endpoints.change_profiles(client, stored, "append", ["db", "gone", "lost"], "it")
    assert client.workloadendpoints.get(stored.name, "prod").spec.profiles == ["web"]
    assert endpoints.change_profiles(client, stored, "append", ["db"], "it").startswith(
        "Profile(s)"
    )
    # What is gone already can be taken away.
    endpoints.change_profiles(client, stored, "remove", ["web"], "it")
    assert client.workloadendpoints.get(stored.name, "prod").spec.profiles == ["db"]
