"""Which of what a host has is ours. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from calico_node.felix.messages import VXLAN_DEVICES
from calico_node.felix.routes import ipip
from calico_node.uninstall.model import Running
from libcalico.netlink.links import Link
from libcalico.netlink.routes import PROTOCOL_BIRD, PROTOCOL_FELIX, TABLE_MAIN, Route

_WORKLOAD_PREFIX = "cali"
#: Programs that ``calico-node run`` keeps running, by the last word of their command.
_SERVICES = ("felix", "bgp", "workloads")


def interfaces(links: Iterable[Link]) -> tuple[Link, ...]:
    """Return the host ends of workloads' interfaces, and tunnel devices."""
    return tuple(
        link
        for link in links
        if (link.kind == "veth" and link.name.startswith(_WORKLOAD_PREFIX))
        or (link.kind == "vxlan" and link.name in VXLAN_DEVICES.values())
        or ipip.is_ours(link)
    )


def routes(
    installed: Iterable[Route], going: Collection[Link], *, had_bird: bool
) -> tuple[Route, ...]:
    """Return our routes that do not go with an interface.

    Args:
        installed: what the kernel has.
        going: interfaces that are removed.
        had_bird: whether our BIRD has run here. It then has every route of BIRD in the main table: it removes
            those that it did not make itself.
    """
    indices = {link.ifindex for link in going}

    def is_ours(route: Route) -> bool:
        if route.table != TABLE_MAIN or route.oif in indices:
            return False
        is_birds = had_bird and route.protocol == PROTOCOL_BIRD
        return is_birds or route.protocol == PROTOCOL_FELIX

    return tuple(route for route in installed if is_ours(route))


def processes(
    running: Iterable[Running], program: Sequence[str], files: Collection[str]
) -> tuple[Running, ...]:
    """Return our processes: those that have one of our files as an argument, and our services.

    Args:
        running: the processes of this host's network.
        program: how this program is called.
        files: the configurations of supervisord, BIRD and etcd.
    """
    return tuple(
        process
        for process in running
        if set(process.argv) & set(files) or _is_service(process.argv, program)
    )


def _is_service(argv: Sequence[str], program: Sequence[str]) -> bool:
    """Whether it is a service; a script's command is preceded by its interpreter."""
    *head, last = argv or ("",)
    return last in _SERVICES and head[-len(program) :] == list(program)
