"""version --poll."""

import pytest

from calicoctl.commands import version
from libcalico.client import Client
from libcalico.datastore.memory import MemoryBackend
from libcalico.errors import NotFoundError, UnavailableError, ValidationError


@pytest.fixture
def client():
    client = Client(MemoryBackend())
    client.ensure_initialized("v3.32.1", "k8s")
    return client


def test_without_a_period_it_is_told_once(client):
    assert list(version.changes(client, 0)) == [
        "Cluster Version:   v3.32.1\nCluster Type:      k8s"
    ]


def test_with_a_period_each_change_is_told_also_over_an_outage(client):
    store, pauses = client.backend.store, []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            store.fail_next(UnavailableError("down"))
        if len(pauses) == 4:
            client.ensure_initialized("v3.32.2", "bgp")

    told = version.changes(client, 2.0, pause)
    assert next(told).startswith("Cluster Version:   v3.32.1")
    assert next(told) == "Cluster Version:   v3.32.2\nCluster Type:      k8s,bgp"
    assert pauses == [2.0] * 4


def test_no_cluster_is_an_error():
    with pytest.raises(NotFoundError, match="unable to retrieve Cluster Version or Type"):
        next(version.changes(Client(MemoryBackend()), 1))


def test_a_datastore_that_does_not_answer_is_told_in_gos_words(client):
    client.backend.store.fail_next(UnavailableError("down"))
    with pytest.raises(
        UnavailableError, match=r"^unable to retrieve Cluster Version or Type: down$"
    ):
        next(version.changes(client, 0))


def test_periods():
    assert (version.period_s("0"), version.period_s("1m30s")) == (0, 90)
    for text in ("x", "-1s", ""):
        with pytest.raises(ValidationError):
            version.period_s(text)
