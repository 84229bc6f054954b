"""Members of a real cluster die or freeze while objects and addresses change: nobody is told an error."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from libcalico.client import Client
from libcalico.datastore.config import connect
from libcalico.ipam import AssignRequest, IpamClient
from libcalico.resources.names import DEFAULT_ALLOW_PROFILE
from libcalico.testing.builders import a_node, a_pool, a_profile

#: Changes on either side of the loss.
COUNT = 20

Loss = Callable[[list], None]


def kill(members: list) -> None:
    members[0].kill()


def freeze(members: list) -> None:
    members[0].freeze()


def restart_one_after_the_other(members: list) -> None:
    """What an upgrade does."""
    for member in reversed(members):
        member.kill()
        member.start()
        member.wait_port()


LOSSES = {
    "the leader dies": (True, kill),
    "the leader freezes": (True, freeze),
    "a follower freezes": (False, freeze),
    "all are restarted": (True, restart_one_after_the_other),
}


@pytest.fixture(params=LOSSES)
def loss(request) -> tuple[bool, Loss]:
    return LOSSES[request.param]


@pytest.fixture
def members(cluster, loss) -> list:
    """The cluster; what happens, happens to the first of them."""
    leaders = [member for member in cluster if member.leads()]
    others = [member for member in cluster if member not in leaders]
    return leaders + others if loss[0] else others + leaders


@pytest.fixture
def client(members):
    with connect(members[0].config(*members[1:])) as backend:
        yield Client(backend)


def test_objects_are_changed_as_if_nothing_happened(client, members, loss):
    client.profiles.create(a_profile(name="counted"))
    for number in range(2 * COUNT):
        if number == COUNT:
            loss[1](members)
        client.profiles.create(a_profile(name=f"p{number}"))
        stored = client.profiles.get("counted")
        labels = {"count": str(number)}
        client.profiles.update(stored.with_(metadata=stored.metadata.with_(labels=labels)))
        client.profiles.delete(f"p{number}")
    assert client.profiles.get("counted").metadata.labels == {"count": str(2 * COUNT - 1)}
    names = {profile.name for profile in client.profiles.list()}
    assert names == {"counted", DEFAULT_ALLOW_PROFILE}


def test_addresses_are_assigned_once_and_none_is_lost(client, members, loss):
    client.nodes.create(a_node())
    client.ippools.create(a_pool())
    ipam = IpamClient(client.backend)
    given = []
    for number in range(2 * COUNT):
        if number == COUNT:
            loss[1](members)
        request = AssignRequest(host="node-1", num4=1, handle=f"h{number}")
        given += [assigned.address for assigned in ipam.auto_assign(request).ipv4]
    assert len(set(given)) == 2 * COUNT
    assert ipam.problems() == []
    for number in range(2 * COUNT):
        ipam.release_by_handle(f"h{number}")
    assert ipam.problems() == []
