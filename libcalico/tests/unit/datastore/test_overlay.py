"""An overlay behaves as the store that it will make."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.client import Client
from libcalico.datastore.memory import MemoryBackend
from libcalico.datastore.model import Delete, Put, Revision
from libcalico.datastore.overlay import Overlay
from libcalico.errors import CalicoError, ConflictError, NotFoundError, UnsupportedOperationError
from libcalico.testing.builders import a_policy, a_tier

KEYS = st.sampled_from(["a", "b", "ab"])
VALUES = st.binary(max_size=2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["put", "create"]), KEYS, VALUES),
        st.tuples(st.just("update"), KEYS, VALUES),
        st.tuples(st.just("stale"), KEYS, VALUES),
        st.tuples(st.just("delete"), KEYS),
        st.tuples(st.just("both"), VALUES),
    ),
    max_size=15,
)


def do(backend, step):
    """Do a step; return what it said."""
    word, *rest = step
    try:
        if word == "update":
            item = backend.get(rest[0])
            backend.update(*rest, item.revision if item else Revision(7))
        elif word == "stale":
            backend.update(*rest, Revision(2**40))
        elif word == "both":
            item = backend.get("a")
            writes = [Put("a", rest[0], item.revision if item else Revision(0)), Delete("b")]
            backend.transact(writes)
        else:
            getattr(backend, word)(*rest)
    except CalicoError as error:
        return type(error)
    return None


def content(backend):
    return {item.key: item.value for item in backend.read("").items}


@given(st.dictionaries(KEYS, VALUES), STEPS)
def test_it_answers_as_the_store_would_and_leaves_it_alone_until_the_commit(start, steps):
    store, real = MemoryBackend(), MemoryBackend()
    for key, value in start.items():
        store.put(key, value)
        real.put(key, value)
    overlay = Overlay(store)
    for step in steps:
        assert do(overlay, step) == do(real, step)
        assert content(overlay) == content(real)
        assert overlay.read("a").items == tuple(overlay.get(i.key) for i in overlay.read("a").items)
    assert content(store) == start
    before = store.store.revision
    overlay.commit()
    assert content(store) == content(real)
    assert store.store.revision - before == (content(real) != start)


def test_a_key_changed_meanwhile_stops_the_commit_of_all():
    store = MemoryBackend()
    store.put("a", b"1")
    overlay = Overlay(store)
    overlay.put("a", b"2")
    overlay.put("b", b"2")
    store.put("a", b"3")
    with pytest.raises(ConflictError):
        overlay.commit()
    assert content(store) == {"a": b"3"}


def test_what_one_change_needs_of_another_is_there():
    store = MemoryBackend()
    Client(store).ensure_initialized()
    with Overlay(store) as overlay:
        client = Client(overlay)
        with pytest.raises(NotFoundError):
            client.networkpolicies.create(a_policy(tier="platform"))
        client.tiers.create(a_tier())
        client.networkpolicies.create(a_policy(tier="platform"))
        overlay.commit()
    assert Client(store).networkpolicies.get("policy", "default").spec.tier == "platform"


def test_it_cannot_be_watched():
    with pytest.raises(UnsupportedOperationError):
        Overlay(MemoryBackend()).watch(["a"], Revision(1))
