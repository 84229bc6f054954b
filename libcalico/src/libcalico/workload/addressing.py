"""Gives addresses to workloads that are attached, and takes them away.

The order is that of attaching and detaching: what is given goes from IPAM to the interface to the endpoint,
and an address is free for others only after nothing on this host uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from libcalico.errors import CalicoError, NotFoundError, UnavailableError
from libcalico.ipam import ReleaseRequest
from libcalico.net.addresses import Cidr
from libcalico.netlink.netns import Netns
from libcalico.workload import interface, plan
from libcalico.workload.apply import Workloads
from libcalico.workload.model import Address, AddressRequest, Attachment, Identity
from libcalico.workload.undo import tried, undone


def add(
    workloads: Workloads, attachment: Attachment, request: AddressRequest, netns: Netns
) -> list[Address]:
    """Give further addresses to an attached workload, and return them; if that fails, it has none of them.

    Args:
        attachment: as the workload was attached.
        request: says with ``held`` which addresses the workload has.
        netns: of the workload.

    Raises:
        IpamError: no address.
        NotFoundError: there is no such endpoint.
        NetlinkError: the interface is gone, or the kernel refused.
        UnavailableError: the store did not answer.
    """
    with ExitStack() as undo:
        given = workloads.assign(request, attachment.identity.node)
        undo.callback(workloads.give_back, given, request.handle)
        cidrs = [address.cidr for address in given]
        host, inside = attachment.host_interface, attachment.interface
        remove = partial(interface.remove_addresses, host, inside, cidrs, netns)
        undo.callback(undone, "remove addresses", remove)
        interface.add_addresses(attachment, cidrs, netns)
        _store(workloads, attachment.identity, cidrs, undo, remove)
        undo.pop_all()
    return given


def _store(
    workloads: Workloads,
    who: Identity,
    cidrs: Sequence[Cidr],
    undo: ExitStack,
    remove: partial[None],
) -> None:
    endpoints, name = workloads.client.workloadendpoints, plan.endpoint_name(who)
    try:
        endpoints.modify(name, lambda e: plan.with_addresses(e, cidrs), who.namespace)
    except UnavailableError:  # the answer may be all that was lost
        if not undone("endpoint", lambda: _withdraw(workloads, who, cidrs)):
            undone("remove addresses", remove)
            # Addresses that may be an endpoint's stay assigned, until it is detached.
            undo.pop_all()
        raise


def _withdraw(workloads: Workloads, who: Identity, cidrs: Sequence[Cidr]) -> None:
    name = plan.endpoint_name(who)
    workloads.client.workloadendpoints.modify(
        name, lambda stored: plan.without_addresses(stored, cidrs), who.namespace
    )


def remove(
    workloads: Workloads,
    attachment: Attachment,
    cidr: Cidr,
    *,
    netns: Netns | None,
    handle: str,
) -> None:
    """Take an address from a workload. Every step is tried, also after one that failed.

    Args:
        attachment: as the workload was attached.
        cidr: the address, /32 or /128.
        netns: of the workload; None if it does not exist any more.
        handle: its owner in IPAM.

    Raises:
        NotFoundError: the workload has no such address, or there is no such endpoint; nothing is changed.
        ConflictError: IPAM says that the address is somebody else's.
        CalicoError: the first failure.
    """
    who = attachment.identity
    stored = workloads.client.workloadendpoints.get(plan.endpoint_name(who), who.namespace)
    if plan.without_addresses(stored, [cidr]) == stored:
        raise NotFoundError(f"endpoint {stored.name} has no address {cidr.address}")
    failures: list[CalicoError] = []
    host, inside = attachment.host_interface, attachment.interface
    tried(failures, lambda: _withdraw(workloads, who, [cidr]), None)
    tried(failures, lambda: interface.remove_addresses(host, inside, [cidr], netns), None)
    # While the endpoint or the interface has the address it must not go to anyone else.
    if not failures:
        request = ReleaseRequest(cidr.address, handle)
        tried(failures, lambda: workloads.ipam.release_ips([request]), list[str]())
    if failures:
        raise failures[0]
