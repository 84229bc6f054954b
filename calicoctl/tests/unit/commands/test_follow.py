"""get --watch."""

import pytest

from calicoctl import forms
from calicoctl.columns import Context
from calicoctl.commands.follow import Display, Happening, follow
from libcalico.client import Client
from libcalico.datastore.memory import MemoryBackend
from libcalico.errors import UnavailableError
from libcalico.testing.builders import a_tier


@pytest.fixture
def client():
    client = Client(MemoryBackend())
    client.tiers.create(a_tier(name="a"))
    return client


def words(happened):
    return [(h.word, h.resource.name) for h in happened]


def test_everything_that_happens_is_told_also_over_an_outage(client):
    pauses = []
    told = follow(client, "Tier", "", lambda _: True, pauses.append)
    assert words(next(told)[0]) == [("ADDED", "a")]
    client.tiers.create(a_tier(name="b"))
    assert words(next(told)[0]) == [("ADDED", "b")]
    client.tiers.modify("a", lambda t: t.with_(spec=t.spec.with_(order=5.0)))
    happened, known = next(told)
    assert words(happened) == [("MODIFIED", "a")]
    assert {r.name: r.spec.order for r in known.values()}["a"] == 5
    client.backend.store.break_watches()
    client.tiers.delete("a")
    client.tiers.create(a_tier(name="c"))
    seen = []
    while len(seen) < 2:
        seen += words(next(told)[0])
    assert sorted(seen) == [("ADDED", "c"), ("DELETED", "a")]


def test_only_what_is_wanted_is_told(client):
    told = follow(client, "Tier", "", lambda tier: tier.name == "b", lambda _: None)
    assert next(told)[0] == []
    client.tiers.create(a_tier(name="x"))
    client.tiers.create(a_tier(name="b"))
    assert words(next(told)[0]) == [("ADDED", "b")]


def test_no_datastore_is_an_error_at_once(client):
    with client.backend.store.unavailable(), pytest.raises(UnavailableError):
        next(follow(client, "Tier", "", lambda _: True, lambda _: None))


def show(form, happened, known=None, live=False, times=1):
    display = Display("Tier", forms.parse(form), namespaced=False, live=live)
    texts = [display.text(happened, known or {}, Context()) for _ in range(times)]
    return texts[-1]


def test_displays():
    tier = a_tier(name="a")
    assert show("ps", [Happening("ADDED", tier)]) == (
        "EVENT   NAME   ORDER   \nADDED   a      100     \n"
    )
    assert show("ps", [Happening("DELETED", tier)], times=2) == "DELETED   a      100     \n"
    assert show("ps", [], {"k": tier}, live=True).endswith("NAME   ORDER   \na      100     \n\n")
    assert show("yaml", [Happening("MODIFIED", tier)]).startswith("---\n# MODIFIED\napiVersion:")
    assert '"type": "ADDED"' in show("json", [Happening("ADDED", tier)])
    assert show("custom-columns=NAME", [Happening("ADDED", tier)]).splitlines()[1].split() == [
        "ADDED",
        "a",
    ]


def test_each_event_stands_beside_its_own_object():
    first, last = a_tier(name="first", order=1.0), a_tier(name="last", order=2.0)
    shown = show("ps", [Happening("DELETED", last), Happening("MODIFIED", first)], times=2)
    assert [line.split() for line in shown.splitlines()] == [
        ["DELETED", "last", "2"],
        ["MODIFIED", "first", "1"],
    ]
    live = show("ps", [], {"a": last, "b": first}, live=True)
    assert [line.split()[0] for line in live.splitlines()[1:3]] == ["first", "last"]
