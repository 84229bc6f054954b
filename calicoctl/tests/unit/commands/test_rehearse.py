"""Rehearsals tell the truth, and batches in one transaction are all or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calicoctl.commands import rehearse, write
from calicoctl.differences import report
from libcalico.client import Client
from libcalico.datastore import keys
from libcalico.datastore.memory import MemoryBackend
from libcalico.errors import TooLargeError
from libcalico.testing.builders import a_node, a_policy, a_pool, a_tier

BATCH = st.lists(
    st.one_of(
        st.builds(
            lambda n, o: a_tier(name=n, order=float(o)), st.sampled_from("ab"), st.integers(1, 3)
        ),
        st.builds(
            lambda n, t, o: a_policy(name=n, tier=t, order=float(o)),
            st.sampled_from("pq"),
            st.sampled_from(["a", "b", "default"]),
            st.integers(1, 2),
        ),
        st.builds(
            lambda n, c: a_pool(name=n, cidr=c),
            st.sampled_from("xy"),
            st.sampled_from(["10.1.0.0/16", "10.1.2.0/24", "10.2.0.0/16"]),
        ),
    ),
    max_size=6,
)
VERBS = st.sampled_from(["create", "apply", "replace"])


def fresh():
    return Client(MemoryBackend())


def specs(client):
    return {
        (kind, r.namespace, r.name): r.spec
        for kind in ("Tier", "NetworkPolicy", "IPPool")
        for r in client.resource(kind).list()
    }


@given(BATCH, BATCH, VERBS)
def test_a_rehearsal_says_what_would_happen_and_nothing_does(before, batch, verb):
    client = fresh()
    write.run("apply", before, client)
    stored = client.backend.store.revision
    told = rehearse.rehearse(verb, batch, client)
    assert client.backend.store.revision == stored
    old = specs(client)
    done = write.run(verb, batch, client)
    assert (told.outcome.done, list(told.outcome.errors)) == (done.done, list(done.errors))
    new = specs(client)
    for change in told.changes:
        key = (change.which.kind, change.which.namespace, change.which.name)
        assert (change.before is None, change.after is None) == (key not in old, key not in new)
        if key in old and key in new and change.word == "unchanged":
            assert old[key] == new[key]


@given(BATCH, BATCH, VERBS)
def test_atomic_is_all_or_nothing(before, batch, verb):
    client, plain = fresh(), fresh()
    for one in (client, plain):
        write.run("apply", before, one)
    start, revision = specs(client), client.backend.store.revision
    outcome = rehearse.write_atomically(verb, batch, client)
    expected = write.run(verb, batch, plain)
    assert outcome.succeeded == expected.succeeded
    if outcome.succeeded:
        assert specs(client) == specs(plain)
        assert client.backend.store.revision <= revision + 1
    else:
        assert (specs(client), outcome.done) == (start, 0)
        assert "nothing was written" in outcome.complaint()


def test_another_writer_makes_it_try_again():
    client = fresh()
    client.tiers.create(a_tier(name="a", order=1.0))
    store = client.backend

    class Racing(MemoryBackend):
        raced = 0

        def transact(self, writes):
            if self.raced < 2:
                self.raced += 1
                found = Client(store).tiers.get("a")
                Client(store).tiers.update(
                    found.with_(metadata=found.metadata.with_(labels={"n": str(self.raced)}))
                )
            return super().transact(writes)

    racing = Racing(store.store)
    assert rehearse.write_atomically(
        "apply", [a_tier(name="a", order=2.0)], Client(racing)
    ).succeeded
    assert racing.raced == 2
    assert client.tiers.get("a").spec.order == 2


def test_too_large_a_batch_says_what_the_limits_are():
    class Small(MemoryBackend):
        def transact(self, writes):
            if len(writes) > 3:
                raise TooLargeError("too many operations")
            return super().transact(writes)

    client = Client(Small())
    with pytest.raises(TooLargeError, match=r"nothing was written: \d+ keys .*128 keys"):
        rehearse.write_atomically("apply", [a_node(name=f"n{i}") for i in range(5)], client)
    assert client.backend.read(keys.ROOT).items == ()


def test_what_is_refused_is_told_so_and_counted():
    client = fresh()
    stale = client.tiers.create(a_tier(name="t", order=1.0))
    client.tiers.apply(a_tier(name="t", order=2.0))
    told = rehearse.rehearse("apply", [stale, a_tier(name="u", order=3.0)], client)
    assert report(told.changes).splitlines() == [
        "refused    Tier(t)",
        "created    Tier(u)",
        "Dry run: 1 created, 0 changed, 0 unchanged, 1 refused; nothing was written",
    ]
    assert told.outcome.done == 1
