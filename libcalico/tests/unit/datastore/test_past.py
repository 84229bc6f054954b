"""The versions of a key, and a store as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.client import Client
from libcalico.datastore.memory import MemoryBackend
from libcalico.datastore.model import Put, Revision
from libcalico.datastore.past import PastBackend, Version, history
from libcalico.errors import UnsupportedOperationError
from libcalico.testing.builders import a_pool

STEPS = st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.binary(max_size=3)), max_size=20)


@given(STEPS, st.integers(0, 20))
def test_history_is_what_happened_since_the_compaction(steps, compact_after):
    backend = MemoryBackend()
    happened = []
    for number, (key, value) in enumerate(steps):
        if value is None and backend.get(key) is None:
            continue
        if value is None:
            backend.delete(key)
        else:
            backend.put(key, value)
        if key == "a":
            happened.append(Version(backend.store.revision, value))
        if number == compact_after:
            backend.store.compact()
            happened = [v for v in happened[-1:] if v.value is not None]
    assert list(history(backend, "a").versions) == happened


def test_history_says_how_far_it_reaches():
    backend = MemoryBackend()
    assert history(backend, "a").compacted == 0
    revision = backend.put("a", b"1")
    backend.store.compact(revision)
    found = history(backend, "a")
    assert (found.versions, found.compacted) == ((Version(revision, b"1"),), revision)


def test_a_client_of_the_past():
    backend = MemoryBackend()
    client = Client(backend)
    pool = client.ippools.create(a_pool())
    then = Revision(int(pool.metadata.resource_version))
    client.ippools.update(pool.with_(spec=pool.spec.with_(nat_outgoing=True)))
    past = Client(PastBackend(backend, then))
    assert past.ippools.get("pool").spec.nat_outgoing is False
    assert [p.spec.nat_outgoing for p in past.ippools.list()] == [False]


@pytest.mark.parametrize(
    "write",
    [
        lambda past: past.put("a", b""),
        lambda past: past.create("a", b""),
        lambda past: past.update("a", b"", Revision(1)),
        lambda past: past.delete("a"),
        lambda past: past.transact([Put("a", b"")]),
        lambda past: past.watch(["a"], Revision(1)),
    ],
)
def test_the_past_cannot_be_changed(write):
    backend = MemoryBackend()
    with PastBackend(backend, Revision(1)) as past, pytest.raises(UnsupportedOperationError):
        write(past)
    assert backend.get("a") is None
