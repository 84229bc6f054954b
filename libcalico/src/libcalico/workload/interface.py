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
from libcalico.workload import plan
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
        present = [
            route
            for version in plan.versions(cidrs)
            for route in routes.list_routes(socket, version)
        ]
        priority = plan.inside_priority(link.ifindex, present)
        if priority:
            _remove_left_rules(socket, plan.versions(cidrs))
        socket.request(*plan.inside(attachment, link.ifindex, cidrs, priority))


def _remove_left_rules(socket: NetlinkSocket, versions: Sequence[int]) -> None:
    """Remove the rules of interfaces that are gone: the kernel keeps them, with empty tables."""
    present = [rule for version in versions for rule in rules.list_rules(socket, version)]
    indexes = [link.ifindex for link in links.list_links(socket)]
    for rule in plan.left_rules(present, indexes):
        rules.delete_rule(socket, rule)


def _configure_host(host: NetlinkSocket, attachment: Attachment, cidrs: Sequence[Cidr]) -> None:
    link = links.get_link(host, attachment.host_interface)
    if link is None:
        raise NetlinkError(f"{attachment.host_interface} disappeared", errno.ENODEV)
    gateway, routed = plan.host_gateway(link.ifindex, cidrs), plan.host_routes(link.ifindex, cidrs)
    refusals = host.batch([*gateway, *routed])
    # If Felix knows the endpoint from an earlier attempt it may have been faster with the same routes.
    exists = all(refusal.errno == errno.EEXIST for refusal in refusals)
    if refusals and not (exists and set(cidrs) <= _destinations(host, link, plan.versions(cidrs))):
        raise refusals[0]


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
