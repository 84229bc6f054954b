"""BGPPeers: the filters that they name must exist. Source: ``calico-control-plane.md`` 1.9."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libcalico.client import messages
from libcalico.client.behaviour import Behaviour
from libcalico.datastore import keys
from libcalico.resources.bgp import BGPPeer
from libcalico.resources.model import ResourceId

if TYPE_CHECKING:
    from libcalico.client.client import Client


def require_filters(client: Client, peer: BGPPeer) -> None:
    """Refuse a peer that names a filter which does not exist.

    Raises:
        NotFoundError: the first such filter.
    """
    for name in peer.spec.filters:
        which = ResourceId("BGPFilter", "", name)
        if client.backend.get(keys.path_of(which)) is None:
            raise messages.not_found(which)


BEHAVIOUR: Behaviour[BGPPeer] = Behaviour(
    before_create=require_filters, before_update=require_filters
)
