"""Assigns and releases the addresses of this node's tunnels. A crash in between does no harm: repeat it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import aclosing
from typing import Final

from calico_node.tunnels.plan import TUNNELS, Tunnel, address_of, candidates, choose, with_address
from libcalico.client.client import Client
from libcalico.datastore import config as datastore
from libcalico.datastore import keys
from libcalico.datastore.follow import follow
from libcalico.datastore.syncer import InSync, Update
from libcalico.errors import CalicoError, ConflictError, IpamError, NotFoundError, UnavailableError
from libcalico.ipam.apply import IpamClient
from libcalico.ipam.plan.assign import AssignRequest
from libcalico.net.addresses import parse_address
from libcalico.resources.ippools import IPPool
from libcalico.resources.model import ResourceId
from libcalico.resources.nodes import Node

log = logging.getLogger(__name__)

_TRIES: Final = 5
_RETRY_S: Final = 10.0


def assign(client: Client, node_name: str) -> None:
    """Give each tunnel that a pool asks for an address, and take away those that none asks for any more.

    A pool without free addresses is logged; its tunnel has to wait.

    Raises:
        NotFoundError: there is no such Node.
        UnavailableError: the datastore does not answer, or others change the Node all the time.
    """
    ipam = IpamClient(client.backend)
    for _ in range(_TRIES):
        node, pools = client.nodes.get(node_name), client.ippools.list()
        wanted = node
        for tunnel in TUNNELS:
            wanted = with_address(tunnel, wanted, _address(ipam, tunnel, node, pools))
        if wanted == node:
            return
        try:
            client.nodes.update(wanted)
        except ConflictError:
            continue
        _tell(node, wanted)
        return
    raise UnavailableError("the Node is changed by others all the time; trying again later")


def _address(ipam: IpamClient, tunnel: Tunnel, node: Node, pools: Iterable[IPPool]) -> str:
    handle = tunnel.handle + node.name
    cidrs = candidates(tunnel, pools, node)
    if found := choose(address_of(tunnel, node), _owned(ipam, handle), cidrs):
        return found
    ipam.release_if_any(handle)
    if not cidrs:
        return ""
    request = AssignRequest(
        host=node.name,
        num4=int(tunnel.version == 4),
        num6=int(tunnel.version == 6),
        handle=handle,
        attributes={"node": node.name, "type": tunnel.attribute},
        pools4=cidrs if tunnel.version == 4 else None,
        pools6=cidrs if tunnel.version == 6 else None,
        use="Tunnel",
    )
    try:
        assigned = ipam.auto_assign(request)
    except IpamError as error:
        log.warning("no address for a tunnel handle=%s error=%s", handle, error)
        return ""
    return (*assigned.ipv4, *assigned.ipv6)[0].address


def _owned(ipam: IpamClient, handle: str) -> list[str]:
    try:
        return sorted(ipam.ips_by_handle(handle), key=parse_address)
    except NotFoundError:
        return []


def _tell(before: Node, after: Node) -> None:
    for tunnel in TUNNELS:
        old, new = address_of(tunnel, before), address_of(tunnel, after)
        if old != new:
            log.info("tunnel address type=%s address=%s was=%s", tunnel.attribute, new, old)


async def keep(settings: datastore.DatastoreConfig, node_name: str) -> None:
    """Assign, and again whenever a pool or the Node changes, until cancelled. Failures are tried again."""
    backend = datastore.connect_async(settings)
    group = (keys.resource_prefix("IPPool"), keys.path_of(ResourceId("Node", "", node_name)))
    is_read = False
    try:
        async with aclosing(follow(backend, group)) as batches:
            async for changes in batches:
                is_read = is_read or any(isinstance(change, InSync) for change in changes)
                if is_read and any(isinstance(change, InSync | Update) for change in changes):
                    await _assign_in_the_end(settings, node_name)
    finally:
        await backend.close()


async def _assign_in_the_end(settings: datastore.DatastoreConfig, node_name: str) -> None:
    while True:
        try:
            await asyncio.to_thread(_assign_once, settings, node_name)
        except NotFoundError:
            return  # the Node is gone: nothing is ours
        except CalicoError as error:
            log.warning("cannot assign tunnel addresses, trying again error=%s", error)
            await asyncio.sleep(_RETRY_S)
        else:
            return


def _assign_once(settings: datastore.DatastoreConfig, node_name: str) -> None:
    with datastore.connect(settings) as backend:
        assign(Client(backend), node_name)
