"""Affinity of hosts to blocks: claiming, confirming, taking over, giving up.

Go Calico claims in three writes (affinity pending, block, affinity confirmed) and gives up in three
(affinity pendingDeletion, block, affinity gone), because one of its datastores has no transactions.
Ours has them: a claim is one transaction, so its intermediate states are never stored. They are
understood where a Go node left them, in the middle of its work or after a crash:

========================================== ===================================================
found                                      done by the host that the affinity names
========================================== ===================================================
affinity not confirmed, no block           block created, affinity confirmed
affinity not confirmed, block ours         block's sequence counted up, affinity confirmed: a
                                           release that was under way loses its swap
affinity confirmed, no block               block created
affinity in any state, block another's     affinity deleted
block ours, no affinity                    affinity created, confirmed, once no block is free
========================================== ===================================================

The invariant: a host assigns automatically only from a block that names it as owner and to which it
has a confirmed affinity. Source: ``calico-control-plane.md`` 5.5, 5.8, 5.11.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from libcalico.errors import IpamError
from libcalico.ipam.model import CONFIRMED, HOST_PREFIX, Affinity, Block, host_owner
from libcalico.ipam.plan.view import View, affinity_key, block_key
from libcalico.net.addresses import Cidr

#: A block that was claimed more recently is not taken over: its host is about to use it.
TAKEOVER_AGE_S = 60


def own(view: View, host: str, cidr: Cidr) -> Block | None:
    """Make sure that the host may assign from a block, claiming it if nobody has it.

    Returns:
        The block, or None if it belongs to another owner; then the host's affinity, if it had one,
        is deleted.
    """
    view.require(affinity_key(host, cidr), block_key(cidr))
    block = view.block(cidr)
    affinity = view.affinity(host, cidr)
    if block is not None and block.owner != host_owner(host):
        if affinity is not None:
            view.delete(affinity_key(host, cidr))
        return None
    if block is None:
        block = Block.fresh(cidr, host_owner(host), rfc3339(view.now_ns), view.now_ns)
        view.put_block(block)
    elif affinity is None or not affinity.confirmed:
        view.put_block(block)
    if affinity is None or not affinity.confirmed:
        confirmed = Affinity() if affinity is None else replace(affinity, state=CONFIRMED)
        view.put(affinity_key(host, cidr), confirmed)
    return block


def take_over(view: View, host: str, block: Block) -> Block | None:
    """Take an empty block from another host, unless it was claimed a moment ago.

    A block that is ours already, but to which we have no affinity, is taken in any case.

    Returns:
        The block as ours, or None if it cannot be taken.
    """
    owner = block.owner
    if owner == host_owner(host):
        return own(view, host, block.cidr)
    if not block.empty or (owner is not None and not owner.startswith(HOST_PREFIX)):
        return None
    if owner is not None and _age_s(block, view.now_ns) < TAKEOVER_AGE_S:
        return None
    if owner is not None:
        view.delete(affinity_key(owner.removeprefix(HOST_PREFIX), block.cidr))
    ours = replace(block, owner=host_owner(host), claim_time=rfc3339(view.now_ns))
    view.put_block(ours)
    view.put(affinity_key(host, block.cidr), Affinity())
    return ours


def give_up(view: View, host: str, cidr: Cidr, *, must_be_empty: bool = False) -> bool:
    """Release the host's affinity to a block. Addresses assigned from it stay assigned.

    Returns:
        Whether there was anything to release.

    Raises:
        IpamError: the block is in use and ``must_be_empty`` is set.
    """
    view.require(affinity_key(host, cidr), block_key(cidr), fresh=True)
    block = view.block(cidr)
    affinity = view.affinity(host, cidr)
    if block is not None and block.owner == host_owner(host):
        if block.empty:
            view.delete(block_key(cidr))
        elif must_be_empty:
            raise IpamError(f"block {cidr} is not empty; affinity of {host} is kept")
        else:
            view.put_block(block.disowned())
    elif affinity is None:
        return False
    view.delete(affinity_key(host, cidr))
    return True


def rfc3339(now_ns: int) -> str:
    """Return a time as stored objects show it: UTC, whole seconds."""
    return datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _age_s(block: Block, now_ns: int) -> float:
    """How long ago the block was claimed; very long if it does not say."""
    try:
        claimed = datetime.fromisoformat(block.claim_time or "")
    except ValueError:
        return float("inf")
    if claimed.tzinfo is None:
        claimed = claimed.replace(tzinfo=UTC)
    return now_ns / 1e9 - claimed.timestamp()
