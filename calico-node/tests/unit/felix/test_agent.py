"""What Felix says of the datastore before anything touches the kernel."""

import pytest

from calico_node.felix.agent import Felix
from calico_node.felix.calc.graph import prefixes
from calico_node.felix.loggers import Loggers
from calico_node.health.model import Aggregator
from libcalico.datastore import keys
from libcalico.datastore.follow import Connected, Disconnected
from libcalico.datastore.syncer import IN_SYNC, Update
from libcalico.resources import codec
from libcalico.resources.model import id_of
from libcalico.testing import builders as a

RESOURCES, AFFINITIES = prefixes("node-1")
READ = [Connected(), IN_SYNC]


@pytest.fixture
def health():
    return Aggregator(lambda: 0.0)


@pytest.fixture
def felix(health, tmp_path):
    made = Felix("node-1", [], health, Loggers({}), tmp_path / "mtu")
    yield made
    made.close()


def detail(health, name="Datastore"):
    return next(row.detail for row in health.summary().rows if row.name == name)


def information(*, is_ready):
    stored = a.a_cluster_information(datastore_ready=is_ready)
    return Update(keys.path_of(id_of(stored)), codec.encode(stored))


def test_every_group_of_prefixes_must_have_been_read(felix, health):
    felix.take(AFFINITIES, READ)
    assert detail(health) == "reading"
    felix.take(RESOURCES, READ)
    assert detail(health).startswith("not ready, says ClusterInformation")
    assert health.summary().live


def test_a_datastore_that_is_not_ready_is_not_programmed(felix, health):
    felix.take(AFFINITIES, READ)
    felix.take(RESOURCES, [Connected(), information(is_ready=False), IN_SYNC])
    assert detail(health).startswith("not ready")
    assert detail(health, "Dataplane").startswith("waiting for the datastore")


def test_who_is_told_to_wait_is_ready_and_who_does_not_know_is_not(felix, health):
    felix.take(AFFINITIES, READ)
    assert not health.summary().ready
    felix.take(RESOURCES, [Connected(), information(is_ready=False), IN_SYNC])
    assert health.summary().ready
    felix.take(RESOURCES, [Disconnected("no route")])
    assert not health.summary().ready
    felix.take(RESOURCES, [Connected()])
    assert health.summary().ready


def test_it_is_away_as_long_as_one_group_is(felix, health):
    felix.take(AFFINITIES, READ)
    felix.take(RESOURCES, READ)
    felix.take(AFFINITIES, [Disconnected("no route")])
    felix.take(RESOURCES, [Disconnected("no route")])
    felix.take(RESOURCES, [Connected()])
    assert detail(health) == "away, keeping what is programmed: no route"
    felix.take(AFFINITIES, [Connected()])
    assert not detail(health).startswith("away")
