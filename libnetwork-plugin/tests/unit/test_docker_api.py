"""What Docker 20.10 says, as recorded."""

import gc

import pytest

from libcalico.errors import UnavailableError
from libnetwork_plugin.docker_api import DockerApi, Event, parse_event, parse_network

NETWORK = {
    "Name": "net1",
    "Id": "db50",
    "Driver": "calico",
    "IPAM": {
        "Driver": "calico",
        "Options": {},
        "Config": [
            {
                "Subnet": "10.50.0.0/24",
                "Gateway": "10.50.0.1",
                "AuxiliaryAddresses": {"x": "10.50.0.7"},
            },
            {"Subnet": "fd80:1::/64"},
        ],
    },
    "Containers": {
        "c0ffee": {"Name": "web", "EndpointID": "30b4", "IPv4Address": "10.50.0.64/32"},
        "ep-77aa": {"Name": "gateway", "EndpointID": "77aa"},
    },
}


def test_a_network_is_read():
    network = parse_network(NETWORK)
    assert (network.id, network.name) == ("db50", "net1")
    assert network.containers == {"30b4": "c0ffee"}
    assert network.reserved == {"10.50.0.1", "10.50.0.7"}


def test_a_network_of_few_words_is_read():
    network = parse_network({"Name": "n", "Id": "i", "IPAM": {"Config": None}, "Containers": None})
    assert network.containers == {}
    assert network.reserved == frozenset()


def test_events_of_our_networks_are_read():
    attributes = {"container": "c0ffee", "name": "net1", "type": "calico"}
    raw = {
        "Type": "network",
        "Action": "connect",
        "Actor": {"ID": "db50", "Attributes": attributes},
    }
    assert parse_event(raw, "calico") == Event("connect", "db50")
    assert parse_event(raw, "other") is None
    assert parse_event(raw | {"Type": "container"}, "calico") is None
    assert parse_event({}, "calico") is None


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the SDK leaves its socket to the collector
def test_a_docker_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(UnavailableError, match="Docker's API at unix://"):
        DockerApi(f"unix://{tmp_path}/docker.sock")
    gc.collect()
