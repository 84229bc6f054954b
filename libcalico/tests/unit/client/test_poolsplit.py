"""Splitting pools."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.client import Client
from libcalico.datastore.memory import MemoryBackend
from libcalico.errors import ConflictError, ValidationError
from libcalico.testing.builders import a_pool


def stored(**fields):
    client = Client(MemoryBackend())
    return client, client.ippools.create(a_pool(**fields))


@given(st.integers(1, 6))
def test_the_parts_are_the_whole_with_its_settings(power):
    client, pool = stored(nat_outgoing=True, labels={"a": "b"})
    parts = client.split_pool(pool, 2**power)
    found = client.ippools.list()
    assert sorted(part.name for part in found) == sorted(part.name for part in parts)
    networks = [ip_network(part.spec.cidr) for part in parts]
    assert list(ip_network(pool.spec.cidr).subnets(power)) == networks
    assert all(part.spec.with_(cidr="") == pool.spec.with_(cidr="") for part in found)
    assert all(part.metadata.labels == {"a": "b"} for part in found)
    assert len({part.metadata.uid for part in found}) == 2**power


def test_ipv6():
    client, pool = stored(cidr="fd00::/64")
    assert [p.spec.cidr for p in client.split_pool(pool, 2)] == ["fd00::/65", "fd00::8000:0:0:0/65"]


@pytest.mark.parametrize("number", [-2, 0, 1, 3, 12])
def test_no_power_of_two(number):
    client, pool = stored()
    with pytest.raises(ValidationError, match="not a valid power of 2"):
        client.split_pool(pool, number)
    assert len(client.ippools.list()) == 1


def test_parts_hold_a_block_each():
    client, pool = stored(cidr="10.65.0.0/25", block_size=26)
    with pytest.raises(ValidationError, match="not large enough to be split into 4"):
        client.split_pool(pool, 4)
    assert len(client.split_pool(pool, 2)) == 2


def test_too_many_for_one_transaction():
    client, pool = stored()
    with pytest.raises(ValidationError, match="at most 64 at once"):
        client.split_pool(pool, 128)


def test_a_pool_changed_meanwhile_is_left():
    client, pool = stored()
    client.ippools.update(pool.with_(spec=pool.spec.with_(nat_outgoing=True)))
    with pytest.raises(ConflictError):
        client.split_pool(pool, 2)
    assert [p.name for p in client.ippools.list()] == ["pool"]
