import pytest

from libcalico.client import Client
from libcalico.client.pools import SETTLE_S
from libcalico.datastore import keys
from libcalico.errors import ConflictError, UnsupportedOperationError, ValidationError
from libcalico.resources.model import ResourceId
from libcalico.testing import builders as a


def test_pools_may_not_overlap(client):
    client.ippools.create(a.a_pool(name="wide", cidr="10.0.0.0/8"))
    client.ippools.create(a.a_pool(name="six", cidr="fd00::/64"))
    text = r"IPPool\(narrow\) CIDR overlaps with IPPool\(wide\) CIDR 10\.0\.0\.0/8"
    with pytest.raises(ValidationError, match=text):
        client.ippools.create(a.a_pool(name="narrow", cidr="10.1.0.0/16"))


def test_a_pool_may_not_cover_blocks_of_another_size(client, backend):
    backend.put(keys.path_of(keys.BlockKey("10.1.2.0/26")), b"{}")
    with pytest.raises(ValidationError, match=r"different blockSize, such as 10\.1\.2\.0/26"):
        client.ippools.create(a.a_pool(cidr="10.1.0.0/16", block_size=28))
    client.ippools.create(a.a_pool(cidr="10.1.0.0/16"))


def test_every_conflict_is_reported(client, backend):
    client.ippools.create(a.a_pool(name="a", cidr="10.1.0.0/24"))
    client.ippools.create(a.a_pool(name="b", cidr="10.1.1.0/24"))
    backend.put(keys.path_of(keys.BlockKey("10.1.2.0/26")), b"{}")
    with pytest.raises(ValidationError) as caught:
        client.ippools.create(a.a_pool(cidr="10.1.0.0/16", block_size=27))
    assert len(caught.value.problems) == 3


def test_what_blocks_depend_on_cannot_change(client):
    created = client.ippools.create(a.a_pool(allowed_uses=["LoadBalancer"]))
    changed = created.with_(
        spec=created.spec.with_(cidr="10.66.0.0/16", block_size=28, allowed_uses=["Workload"])
    )
    with pytest.raises(ValidationError) as caught:
        client.ippools.update(changed)
    assert [text.split(":")[0] for text in caught.value.problems] == [
        "spec.cidr",
        "spec.blockSize",
        "spec.allowedUses",
    ]


def test_other_fields_can_change(client):
    created = client.ippools.create(a.a_pool(cidr="fd00:0:0::/64"))
    changed = created.with_(spec=created.spec.with_(cidr="FD00::/64", nat_outgoing=True))
    assert client.ippools.update(changed).spec.nat_outgoing is True


def test_a_pool_is_disabled_then_its_affinities_are_released_then_it_goes(backend, addresses):
    steps = addresses.asked
    client = Client(backend, addresses, pause=lambda seconds: steps.append(("pause", seconds)))
    client.ippools.create(a.a_pool(cidr="10.65.0.0/16"))
    release = addresses.release_pool_affinities
    seen = []
    addresses.release_pool_affinities = lambda cidr: (
        seen.append(client.ippools.get("pool").spec.disabled),
        release(cidr),
    )
    client.ippools.delete("pool")
    assert steps == [("pause", SETTLE_S), ("pool", "10.65.0.0/16")]
    assert seen == [True]
    assert client.ippools.list() == []


def test_a_pool_changed_since_is_not_touched(client):
    created = client.ippools.create(a.a_pool())
    version = created.metadata.resource_version
    client.ippools.update(created.with_(spec=created.spec.with_(nat_outgoing=True)))
    with pytest.raises(ConflictError):
        client.ippools.delete("pool", resource_version=version)
    assert client.ippools.get("pool").spec.disabled is False


def test_without_ipam_a_pool_with_affinities_stays(client, backend):
    client.ippools.create(a.a_pool(cidr="10.65.0.0/16"))
    affinity = keys.path_of(keys.AffinityKey("node-1", "10.65.1.0/26"))
    backend.put(affinity, b"{}")
    with pytest.raises(UnsupportedOperationError, match="this client has no IPAM"):
        client.ippools.delete("pool")
    assert client.ippools.get("pool").spec.disabled is False
    backend.delete(affinity)
    client.ippools.delete("pool")


def test_pools_that_break_the_rules_can_be_deleted(client, backend):
    path = keys.path_of(ResourceId("IPPool", "", "odd"))
    for cidr in ("10.0.0.1/16", "no cidr"):
        backend.put(path, f'{{"metadata":{{"name":"odd"}},"spec":{{"cidr":"{cidr}"}}}}'.encode())
        client.ippools.create(a.a_pool(cidr="10.65.0.0/16"))
        with pytest.raises(ValidationError):
            client.ippools.modify("odd", lambda pool: pool)
        client.ippools.delete("odd")
        client.ippools.delete("pool")
    assert client.ippools.list() == []
