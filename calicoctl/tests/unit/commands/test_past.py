"""history and rollback."""

import pytest

from calicoctl.commands import past
from libcalico.client import Client
from libcalico.datastore.memory import MemoryBackend
from libcalico.errors import (
    CalicoError,
    CompactedError,
    NotFoundError,
    UnsupportedOperationError,
    ValidationError,
)
from libcalico.resources.model import ResourceId, id_of
from libcalico.testing.builders import a_pool, a_tier

WHICH = ResourceId("IPPool", "", "pool")


@pytest.fixture
def client():
    """A pool in three versions."""
    client = Client(MemoryBackend())
    pool = client.ippools.create(a_pool(labels={"v": "1"}))
    for version in ("2", "3"):
        labelled = pool.metadata.with_(labels={"v": version})
        pool = client.ippools.update(
            pool.with_(metadata=labelled, spec=pool.spec.with_(nat_outgoing=version == "2"))
        )
    return client


def revisions(client):
    return [version.revision for version in past.versions_of(client, WHICH).versions]


def rows(client):
    return [
        line.split(None, 2)
        for line in past.table(past.versions_of(client, WHICH)).splitlines()[1:4]
    ]


def test_history_names_the_fields_that_changed(client):
    assert [row[1:] for row in rows(client)] == [
        ["created"],
        ["changed", "metadata.labels.v, spec.natOutgoing   "],
        ["changed", "metadata.labels.v, spec.natOutgoing   "],
    ]


def test_rollback_restores_content_and_keeps_identity(client):
    before = client.ippools.get("pool")
    assert past.rollback(client, WHICH, None) == revisions(client)[1]
    now = client.ippools.get("pool")
    assert (now.spec.nat_outgoing, now.metadata.labels) == (True, {"v": "2"})
    assert now.metadata.uid == before.metadata.uid
    past.rollback(client, WHICH, revisions(client)[0])
    assert client.ippools.get("pool").metadata.labels == {"v": "1"}


def test_what_was_deleted_comes_back(client):
    client.ippools.delete("pool")
    text = past.table(past.versions_of(client, WHICH))
    assert text.splitlines()[-1].split()[1] == "deleted"
    past.rollback(client, WHICH, revisions(client)[2])
    assert client.ippools.get("pool").metadata.labels == {"v": "3"}


def test_as_far_as_compaction_allows(client):
    first, second, third = revisions(client)
    client.backend.store.compact(second)
    assert revisions(client) == [second, third]
    assert f"up to revision {second} are compacted away" in past.table(
        past.versions_of(client, WHICH)
    )
    with pytest.raises(CalicoError, match=f"no version at revision {first} .* compacted away"):
        past.rollback(client, WHICH, first)
    with pytest.raises(CompactedError, match=f"revision {first} is compacted away"):
        past.at(client, first)
    past.rollback(client, WHICH, second)
    assert client.ippools.get("pool").metadata.labels == {"v": "2"}


def test_a_rollback_obeys_the_rules(client):
    client.ippools.delete("pool")
    client.ippools.create(a_pool(name="other", cidr="10.65.0.0/20"))
    with pytest.raises(ValidationError, match="overlaps"):
        past.rollback(client, WHICH, revisions(client)[0])


def test_what_cannot_be_rolled_back(client):
    with pytest.raises(NotFoundError, match=r"no version of Tier\(gone\) is known"):
        past.rollback(client, ResourceId("Tier", "", "gone"), None)
    tier = client.tiers.create(a_tier())
    with pytest.raises(CalicoError, match="no earlier version"):
        past.rollback(client, id_of(tier), None)
    client.ippools.delete("pool")
    gone = revisions(client)[-1]
    with pytest.raises(CalicoError, match="did not exist at revision"):
        past.rollback(client, WHICH, gone)
    with pytest.raises(UnsupportedOperationError):
        past.rollback(client, ResourceId("ClusterInformation", "", "default"), None)


def test_a_revision_that_is_yet_to_come_says_where_the_datastore_is(client):
    latest = client.backend.store.revision
    assert past.at(client, latest).ippools.get("pool").metadata.labels == {"v": "3"}
    with pytest.raises(ValidationError, match=f"no revision {latest + 1} yet.* at {latest}$"):
        past.at(client, latest + 1)
