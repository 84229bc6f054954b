"""Finds what is ours on this host, and removes it."""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from calico_node.felix.firewall import apply as firewall
from calico_node.felix.nft.apply import Nftables
from calico_node.felix.nft.operations import DestroyTable
from calico_node.felix.program.names import TABLE
from calico_node.felix.routes import ipip
from calico_node.paths import Paths
from calico_node.uninstall import plan
from calico_node.uninstall.model import Found, Running
from libcalico import process
from libcalico.errors import CalicoError, ProcessError
from libcalico.netlink import links, routes
from libcalico.netlink.addresses import list_addresses
from libcalico.netlink.links import Link
from libcalico.netlink.sockets import NetlinkSocket

_END_S = 10.0
_GONE = (errno.ENODEV, errno.EADDRNOTAVAIL)
_PLUGIN_SOCKETS = ("/run/docker/plugins/calico.sock",)


class UninstallError(CalicoError):
    """Something of ours could not be removed."""


def find(paths: Paths, program: Sequence[str]) -> Found:
    """Return what is ours on this host.

    Args:
        paths: where our files are.
        program: how this program is called.
    """
    with NetlinkSocket() as socket:
        going = plan.interfaces(links.list_links(socket))
        installed = [r for version in (4, 6) for r in routes.list_routes(socket, version)]
    files = (paths.supervisor_conf, paths.bird_conf, paths.etcd_data)
    return Found(
        processes=plan.processes(_running(), program, [str(file) for file in files]),
        interfaces=going,
        routes=plan.routes(installed, going, had_bird=paths.bird_conf.exists()),
        rules=_rules(),
        tables=_tables(),
        paths=tuple(str(path) for path in _paths(paths) if _is_there(path)),
    )


def _running() -> Iterator[Running]:
    """Yield the other processes in our network namespace; those that end meanwhile are left out."""
    network = Path("/proc/self/ns/net").readlink()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            if (entry / "ns/net").readlink() == network:
                argv = (entry / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                yield Running(int(entry.name), tuple(os.fsdecode(word) for word in argv))


def _rules() -> tuple[str, ...]:
    with Nftables() as nftables:
        return tuple(firewall.find(nftables))


def _tables() -> tuple[str, ...]:
    try:
        listed = process.run(["nft", "list", "tables", "inet"]).stdout.split("\n")
    except ProcessError as error:
        raise UninstallError(f"cannot ask for nftables' tables: {error}") from error
    return (TABLE,) if f"table inet {TABLE}" in listed else ()


def _paths(paths: Paths) -> list[Path]:
    return [paths.run, paths.lib, paths.log, *(Path(socket) for socket in _PLUGIN_SOCKETS)]


def _is_there(path: Path) -> bool:
    """Whether there is something to remove: a mount point stays, only what is in it goes."""
    if os.path.ismount(path):
        return any(path.iterdir())
    return os.path.lexists(path)


def remove_plugins() -> list[str]:
    """Let calico-cni, if it is installed, remove the plugins that it put here; return what it removed.

    Raises:
        UninstallError: it failed.
    """
    beside = Path(sys.executable).with_name("calico-cni")
    program = str(beside) if beside.exists() else shutil.which("calico-cni")
    if program is None:
        return []
    try:
        said = process.run([program, "uninstall"]).stdout
    except ProcessError as error:
        raise UninstallError(str(error)) from error
    return [line for line in said.splitlines() if line.startswith("removed ")]


def remove(found: Found) -> None:
    """Remove it all. What is gone already is passed over, so it can be repeated.

    Interfaces go before the rules that guard them.

    Raises:
        UninstallError: a process does not end, or a file cannot be removed.
        NetlinkError: the kernel refused.
    """
    for running in found.processes:
        _end(running)
    with NetlinkSocket() as socket:
        for link in found.interfaces:
            _delete_link(socket, link)
        for route in found.routes:
            routes.delete_route(socket, route)
    with Nftables() as nftables:
        firewall.remove(nftables)
        nftables.commit([DestroyTable(table) for table in found.tables])
    for path in found.paths:
        _delete(Path(path))


def _delete_link(socket: NetlinkSocket, link: Link) -> None:
    """Delete an interface, or give the kernel's own back to it."""
    if ipip.is_ours(link):
        held = list_addresses(socket, link=link.ifindex)
        socket.request(*ipip.plan_return(link, held), tolerated=_GONE)
    else:
        links.delete_link(socket, link.ifindex)


def _end(running: Running) -> None:
    """End a process, by force if need be."""
    with suppress(ProcessLookupError):
        watched = os.pidfd_open(running.pid)
        try:
            for number in (signal.SIGTERM, signal.SIGKILL):
                signal.pidfd_send_signal(watched, number)
                if select.select([watched], [], [], _END_S)[0]:
                    return
        finally:
            os.close(watched)
        raise UninstallError(f"process {running.pid} ({' '.join(running.argv)}) does not end")


def _delete(path: Path) -> None:
    """Delete a file, or a directory with all that is in it; of a mount point only what is in it."""
    try:
        if not path.is_dir() or path.is_symlink():
            path.unlink(missing_ok=True)
            return
        for inner in path.iterdir():
            _delete(inner) if os.path.ismount(inner) else _delete_tree(inner)
        if not os.path.ismount(path):
            path.rmdir()
    except OSError as error:
        raise UninstallError(f"{path}: cannot be removed: {error.strerror}") from error


def _delete_tree(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
