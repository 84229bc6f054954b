"""BGPPeers need the filters that they name."""

import pytest

from libcalico.errors import NotFoundError
from libcalico.testing import builders as a

MISSING = r"resource does not exist: BGPFilter\(filter\)"


def test_a_peer_needs_its_filters(client):
    with pytest.raises(NotFoundError, match=MISSING):
        client.bgppeers.create(a.a_bgp_peer(filters=["filter"]))
    client.bgpfilters.create(a.a_bgp_filter())
    assert client.bgppeers.create(a.a_bgp_peer(filters=["filter"])).spec.filters == ["filter"]


def test_a_changed_peer_needs_its_filters_too(client):
    client.bgppeers.create(a.a_bgp_peer())
    for write in (client.bgppeers.replace, client.bgppeers.apply):
        with pytest.raises(NotFoundError, match=MISSING):
            write(a.a_bgp_peer(filters=["filter"]))
    assert client.bgppeers.get("peer").spec.filters == []
