"""Makes, removes and looks at a workload's interface. The caller's network namespace is the host's."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack

from libcalico.errors import CalicoError, NetlinkError
from libcalico.net.addresses import Cidr
from libcalico.net.macs import mac_text
from libcalico.netlink import addresses, links, netns, routes, rules, sysctl
from libcalico.netlink.links import Link
from libcalico.netlink.netns import Netns
from libcalico.netlink.sockets import NetlinkSocket
from libcalico.workload import plan, precedence
from libcalico.workload.model import Attachment

_log = logging.getLogger(__name__)


def random_mac() -> bytes:
    """Return a locally administered unicast MAC."""
    first, *rest = os.urandom(6)
    return bytes([first & 0xFC | 0x02, *rest])


def make(attachment: Attachment, mac: bytes, cidrs: Sequence[Cidr], inside: Netns | None) -> None:
    """Make the interface, configured at both ends; nothing is left if that fails.

    A host end of that name from an earlier attempt is replaced. Without a namespace the inner end is
    left beside the host end as it is.

    Raises:
        NetlinkError: the kernel refused; EEXIST if the namespace has such an interface, or if one of
            the addresses is routed elsewhere.
    """
    with ExitStack() as undo, NetlinkSocket() as host:
        links.delete_link(host, attachment.host_interface)
        _create(host, attachment, mac, inside)
        undo.callback(_remove_quietly, attachment.host_interface)
        sysctl.apply(plan.host_sysctls(attachment.host_interface, cidrs))
        if inside is not None:
            _configure_inside(attachment, cidrs, inside)
        _configure_host(host, attachment, cidrs)
        undo.pop_all()


def _create(host: NetlinkSocket, attachment: Attachment, mac: bytes, inside: Netns | None) -> None:
    descriptor = None if inside is None else inside.fileno()
    try:
        links.create_veth(host, plan.veth(attachment, mac, descriptor))
    except NetlinkError as error:
        where = (
            "the host's network namespace" if inside is None else f"network namespace {inside.name}"
        )
        what = f"cannot make {attachment.interface} in {where}"
        if error.errno == errno.EEXIST:
            what += f": it has an interface {attachment.interface} already"
        raise NetlinkError(f"{what}: {error}", error.errno) from error


def _configure_inside(attachment: Attachment, cidrs: Sequence[Cidr], inside: Netns) -> None:
    def enter() -> NetlinkSocket:
        sysctl.apply(plan.inside_sysctls(attachment, cidrs))
        return NetlinkSocket()

    with netns.run_in(inside, enter) as socket:
        link = links.get_link(socket, attachment.interface)
        if link is None:
            raise NetlinkError(
                f"{attachment.interface} disappeared from network namespace {inside.name}",
                errno.ENODEV,
            )
        priority = _give_place(socket, attachment, link.ifindex, plan.versions(cidrs))
        socket.request(*plan.inside(attachment, link.ifindex, cidrs, priority))


def _give_place(
    socket: NetlinkSocket, attachment: Attachment, link: int, versions: Sequence[int]
) -> int:
    """Return the metric for our routes inside; the routes of others step back if ours are to lead."""
    present = [route for version in versions for route in routes.list_routes(socket, version)]
    if attachment.leads:
        stepping = precedence.stepping_back(link, present, addresses.list_addresses(socket))
        if stepping:
            _remove_left_rules(socket, versions)
            socket.request(*stepping, tolerated=(errno.EEXIST,))
        return 0
    priority = precedence.priority_behind(link, present)
    if priority:
        _remove_left_rules(socket, versions)
    return priority


def _remove_left_rules(socket: NetlinkSocket, versions: Sequence[int]) -> None:
    """Remove the rules of interfaces that are gone: the kernel keeps them, with empty tables."""
    present = [rule for version in versions for rule in rules.list_rules(socket, version)]
    indexes = [link.ifindex for link in links.list_links(socket)]
    for rule in precedence.left_rules(present, indexes):
        rules.delete_rule(socket, rule)


def _configure_host(host: NetlinkSocket, attachment: Attachment, cidrs: Sequence[Cidr]) -> None:
    link = links.get_link(host, attachment.host_interface)
    if link is None:
        raise NetlinkError(f"{attachment.host_interface} disappeared", errno.ENODEV)
    routed = [routes.encode_add(route) for route in plan.host_routes(link.ifindex, cidrs)]
    refusals = host.batch([*plan.host_gateway(link.ifindex, cidrs), *routed])
    # If Felix knows the endpoint from an earlier attempt it may have been faster with the same routes.
    exists = all(refusal.errno == errno.EEXIST for refusal in refusals)
    if refusals and not (exists and set(cidrs) <= _destinations(host, link, plan.versions(cidrs))):
        raise refusals[0]


def add_addresses(attachment: Attachment, cidrs: Sequence[Cidr], inside: Netns) -> None:
    """Give further addresses to an interface that :func:`make` made. What was done stays if that fails.

    Raises:
        NetlinkError: the interface is gone (ENODEV), or the kernel refused.
    """
    with NetlinkSocket() as host:
        if not links.get_link(host, attachment.host_interface):
            raise NetlinkError(f"{attachment.host_interface} does not exist", errno.ENODEV)
        sysctl.apply(plan.host_sysctls(attachment.host_interface, cidrs))
        _configure_inside(attachment, cidrs, inside)
        _configure_host(host, attachment, cidrs)


def remove_addresses(
    host_interface: str, interface: str, cidrs: Sequence[Cidr], inside: Netns | None
) -> None:
    """Take addresses from an interface at both ends; what is gone already is no error.

    Args:
        host_interface: its host end.
        interface: its end inside.
        inside: None if the namespace does not exist any more.
    """
    with NetlinkSocket() as host:
        outer = links.get_link(host, host_interface)
        for route in plan.host_routes(outer.ifindex, cidrs) if outer else ():
            routes.delete_route(host, route)
    if inside is None:
        return
    with netns.socket_in(inside) as socket:
        inner = links.get_link(socket, interface)
        for address in [addresses.Address(c, inner.ifindex) for c in cidrs] if inner else ():
            addresses.delete_address(socket, address)


def exists(host_interface: str) -> bool:
    """Whether the host has such an interface."""
    with NetlinkSocket() as host:
        return links.get_link(host, host_interface) is not None


def remove(host_interface: str) -> None:
    """Remove a host end, and with it the pair and its routes; none is no error."""
    with NetlinkSocket() as host:
        links.delete_link(host, host_interface)


def _remove_quietly(host_interface: str) -> None:
    try:
        remove(host_interface)
    except CalicoError as error:  # the error that made us undo is the one to tell
        _log.warning("undo failed step='remove interface' error=%r", str(error))


def remove_inside(interface: str, inside: Netns) -> None:
    """Remove a veth inside a namespace, and with it the pair; none is no error."""
    with netns.socket_in(inside) as socket:
        link = links.get_link(socket, interface)
        if link is not None and link.kind == "veth":
            links.delete_link(socket, link.ifindex)


def problems(
    host_interface: str, interface: str, mac: str, cidrs: Sequence[Cidr], inside: Netns
) -> list[str]:
    """Return what is not as :func:`make` left it, one sentence each."""
    with NetlinkSocket() as host:
        found = _host_problems(host, host_interface, cidrs)
    with netns.socket_in(inside) as socket:
        return found + _inside_problems(socket, interface, mac, cidrs)


def _host_problems(host: NetlinkSocket, name: str, cidrs: Sequence[Cidr]) -> list[str]:
    link = links.get_link(host, name)
    if link is None:
        return [f"host interface {name} does not exist"]
    found = [] if link.is_up else [f"host interface {name} is down"]
    routed = _destinations(host, link, plan.versions(cidrs))
    return found + [f"{cidr} is not routed to {name}" for cidr in cidrs if cidr not in routed]


def _inside_problems(
    socket: NetlinkSocket, name: str, mac: str, cidrs: Sequence[Cidr]
) -> list[str]:
    link = links.get_link(socket, name)
    if link is None:
        return [f"interface {name} does not exist in the network namespace"]
    found = [] if link.is_up else [f"interface {name} is down"]
    if mac and mac_text(link.mac) != mac:
        found.append(f"interface {name} has MAC {mac_text(link.mac)}, not {mac}")
    held = {a.cidr.host() for a in addresses.list_addresses(socket, link=link.ifindex)}
    found += [f"interface {name} has not the address {c}" for c in cidrs if c not in held]
    routed = _destinations(socket, link, plan.versions(cidrs))
    return found + [
        f"interface {name} has no IPv{version} default route"
        for version in plan.versions(cidrs)
        if Cidr(version, 0, 0) not in routed
    ]


def _destinations(socket: NetlinkSocket, link: Link, versions: Sequence[int]) -> set[Cidr]:
    return {
        route.dst
        for version in versions
        for route in routes.list_routes(socket, version, oif=link.ifindex)
    }
