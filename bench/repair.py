"""From somebody's tampering with the table, a route or a setting to the kernel's word of the repair.

One host with only Felix on it, and one interface of a workload. Beside it, in the same run, a change of one
policy from put to commit: what Felix does when it is asked properly.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from bench import cluster, felixhost
from bench.felixhost import FelixHost, Size
from bench.measure import Report
from calico_node.felix.nft.apply import Nftables
from calico_node.felix.nft.monitor import Monitor
from calico_node.felix.nft.operations import DestroyTable, FlushChain, Operation
from calico_test.netns import call_in
from libcalico.net.addresses import parse_cidr
from libcalico.netlink import links, monitor, routes, sysctl
from libcalico.netlink.routes import Route
from libcalico.netlink.sockets import NetlinkSocket
from libcalico.netlink.sysctlwatch import SysctlWatch
from libcalico.resources import codec

_SIZES = (Size(10, 1000), Size(250, 1000))
_SAMPLES = 40
_GAP_S = 0.02
_WHO = "bench"
_DEADLINE_S = 60.0
#: Of the first endpoint.
_INTERFACE, _ADDRESS = "cali0", parse_cidr("10.0.0.0")
_SETTINGS = {
    "forwarding": "announced by the kernel",
    "route_localnet": "heard of through /proc",
}
_TAMPERING: dict[str, list[Operation]] = {
    "chain flushed": [FlushChain("calico", "filter-FORWARD", _WHO)],
    "table deleted": [DestroyTable("calico")],
}


def run(report: Report) -> None:
    """Measure every kind of tampering at two sizes."""
    for size in _SIZES:
        with ExitStack() as stack:
            host = stack.enter_context(felixhost.running(size))
            place = Path(f"/proc/{host.process.pid}/ns/net")
            vandal = stack.enter_context(call_in(place, Nftables))
            monitor = call_in(place, partial(Monitor, "calico", [vandal.port]))
            stack.enter_context(monitor)
            asked = report.add(f"repair: a policy changed, {size}", "ms", _changes(host, monitor))
            for name, operations in _TAMPERING.items():
                samples = _samples(monitor, partial(vandal.commit, operations))
                repaired = report.add(f"repair: {name}, {size}", "ms", samples)
                report.ratio(f"repair: {name}, over a policy changed, {size}", repaired, asked)
            socket = stack.enter_context(call_in(place, NetlinkSocket))
            _connect(place, socket)
            report.add(f"repair: route deleted, {size}", "ms", _routes(place, socket))
            for setting, how in _SETTINGS.items():
                samples = _settings(place, setting)
                report.add(f"repair: setting {setting} ({how}) altered, {size}", "ms", samples)


def _changes(host: FelixHost, monitor: Monitor) -> list[float]:
    changed = iter(range(_SAMPLES))

    def change() -> None:
        policy = cluster.policy(1, port=1000 + next(changed))
        host.backend.put(cluster.key_of(policy), codec.encode(policy))

    return _samples(monitor, change)


def _samples(monitor: Monitor, do: Callable[[], None]) -> list[float]:
    """Return the milliseconds from doing something to Felix's next commit."""
    found = []
    for _ in range(_SAMPLES):
        time.sleep(_GAP_S)
        monitor.read()
        began_ns = time.monotonic_ns()
        do()
        found.append((felixhost.wait_for_commit(monitor) - began_ns) / 1e6)
    return found


def _connect(place: Path, socket: NetlinkSocket) -> None:
    """Make the first endpoint's interface, and wait until it has its route."""
    with call_in(place, partial(monitor.Monitor, monitor.ROUTES)) as told:
        links.create_veth(socket, links.Veth(_INTERFACE, "inside"))
        links.set_up(socket, "inside")
        _wait(told, lambda: bool(told.read()) and _route(socket) is not None)


def _route(socket: NetlinkSocket) -> Route | None:
    return next((r for r in routes.list_routes(socket, 4) if r.dst == _ADDRESS), None)


def _routes(place: Path, socket: NetlinkSocket) -> list[float]:
    """Return the milliseconds from the deletion of a route until the kernel tells that it is back."""
    route = _route(socket)
    if route is None:
        raise RuntimeError("there is no route to delete")
    back = monitor.RouteEvent(route, is_gone=False)
    with call_in(place, partial(monitor.Monitor, monitor.ROUTES)) as told:
        delete = partial(routes.delete_route, socket, route)
        return [_took(told, delete, lambda: back in told.read()) for _ in range(_SAMPLES)]


def _settings(place: Path, setting: str) -> list[float]:
    """Return the milliseconds from altering a setting until it is as it was."""
    key = sysctl.interface_key(4, _INTERFACE, setting)

    def is_back() -> bool:
        return bool(told.read()) and call_in(place, partial(sysctl.read, key)) == "1"

    with closing(SysctlWatch()) as told:
        call_in(place, partial(told.follow, [key]))
        alter = partial(call_in, place, partial(sysctl.write, key, 0))
        return [_took(told, alter, is_back) for _ in range(_SAMPLES)]


def _took(
    told: monitor.Monitor | SysctlWatch, do: Callable[[], object], is_back: Callable[[], bool]
) -> float:
    time.sleep(_GAP_S)
    told.read()
    began_ns = time.monotonic_ns()
    do()
    _wait(told, is_back)
    return (time.monotonic_ns() - began_ns) / 1e6


def _wait(told: monitor.Monitor | SysctlWatch, is_over: Callable[[], bool]) -> None:
    while not is_over():
        if not select.select([told], [], [], _DEADLINE_S)[0]:
            raise RuntimeError(f"felix repaired nothing within {_DEADLINE_S} s")
