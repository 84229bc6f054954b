"""Start-up, once: look at the host, read the store, plan, write.

Two hosts may start at the same moment. The Node is written by compare-and-swap, so of two with one
name the second finds the first one's identity. Of two with one address both find the other after they wrote;
the one that wrote later gives its address up and refuses to start.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

from calico_node.paths import Paths
from calico_node.startup import autodetect
from calico_node.startup import plan as startup_plan
from calico_node.startup.identity import NodeClashError, check_addresses, clashing
from calico_node.startup.model import (
    Address,
    HostFacts,
    HostInterface,
    StartupPlan,
    StoreView,
    Version,
)
from calico_node.startup.settings import Settings
from calico_node.tunnels import apply as tunnels
from libcalico.client.client import Client
from libcalico.errors import (
    AlreadyExistsError,
    ConfigError,
    ConflictError,
    UnauthorizedError,
    UnavailableError,
)
from libcalico.netlink.addresses import list_addresses
from libcalico.netlink.links import list_links
from libcalico.netlink.sockets import NetlinkSocket
from libcalico.resources.model import DATA_MODEL_VERSION, Resource
from libcalico.resources.nodes import Node, NodeBGPSpec

_log = logging.getLogger(__name__)
_TRIES = 5
_DATASTORE_POLL_S = 1.0
_DISCARD_PORT = 9


def run(
    settings: Settings, paths: Paths, client: Client, pause: Callable[[float], None] = time.sleep
) -> StartupPlan:
    """Do everything that must be stored before the agents start, and return what was planned.

    Args:
        settings: what the operator asks for.
        paths: the host's identity and the chosen node name are kept there.
        client: of the datastore.
        pause: blocks for so many seconds, while waiting for the datastore.

    Raises:
        NodeClashError: name or address belong to another host.
        ConfigError: a setting, or what the host shows, cannot be used.
        UnavailableError: the datastore does not answer, and was not to be waited for.
    """
    _prepare_directories(paths)
    if settings.wait_for_datastore:
        _wait_for_datastore(client, pause)
    facts = gather(settings, paths)
    planned = _store(settings, facts, client)
    paths.nodename.write_text(planned.node_name, encoding="utf-8")
    return planned


def _prepare_directories(paths: Paths) -> None:
    for directory in (paths.run, paths.lib, paths.log):
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{directory}: cannot be made: {error.strerror}") from error
        if not os.access(directory, os.W_OK):
            raise ConfigError(f"{directory}: is not writable; calico-node must run as root")


def _wait_for_datastore(client: Client, pause: Callable[[float], None]) -> None:
    told = False
    while True:
        try:
            client.nodes.list()
        except UnauthorizedError:
            raise
        except UnavailableError as error:
            if not told:
                _log.warning("waiting for the datastore: %s", error)
            told = True
            pause(_DATASTORE_POLL_S)
        else:
            return


# --- what the host shows ---------------------------------------------------------------------------


def gather(settings: Settings, paths: Paths) -> HostFacts:
    """Look at the host; makes its identity if it has none yet."""
    versions: tuple[Version, ...] = (4, 6)
    targets = {
        target: version
        for version in versions
        if (target := autodetect.reach_target(settings.addresses[version].method))
    }
    sources = {
        target: source
        for target, version in targets.items()
        if (source := _source_towards(target, version)) is not None
    }
    return HostFacts(
        hostname=socket.gethostname(),
        host_id=_host_id(paths.host_id),
        stored_name=_read_line(paths.nodename),
        interfaces=tuple(_interfaces()),
        source_by_target=sources,
        has_ipv6=Path("/proc/net/if_inet6").exists(),
        random_bits=secrets.randbits(40),
    )


def _host_id(path: Path) -> str:
    with contextlib.suppress(FileExistsError), path.open("x", encoding="ascii") as file:
        file.write(f"{uuid.uuid4()}\n")
    found = _read_line(path)
    if not found:
        raise ConfigError(f"{path}: holds no identity; remove the file, a new one will be made")
    return found


def _read_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _interfaces() -> Iterator[HostInterface]:
    with NetlinkSocket() as kernel:
        links = list_links(kernel)
        held = list_addresses(kernel)
    for link in sorted(links, key=lambda link: link.ifindex):
        own = [ip_interface(str(a.cidr)) for a in held if a.link == link.ifindex]
        yield HostInterface(link.name, tuple(own))


def _source_towards(target: str, version: Version) -> Address | None:
    """Return the address that the kernel would send from; nothing is sent."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    try:
        found = socket.getaddrinfo(target, _DISCARD_PORT, family, socket.SOCK_DGRAM)
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(found[0][4])
            return ip_address(str(probe.getsockname()[0]))
    except OSError as error:
        _log.warning("cannot reach the autodetection target %s: %s", target, error)
        return None


# --- the store -------------------------------------------------------------------------------------


def _store(settings: Settings, facts: HostFacts, client: Client) -> StartupPlan:
    planned = _store_node(settings, facts, client)
    for resource in planned.defaults:
        _write(client, resource)
    client.ensure_initialized(DATA_MODEL_VERSION, settings.cluster_type)
    tunnels.assign(client, planned.node_name)
    return planned


def _store_node(settings: Settings, facts: HostFacts, client: Client) -> StartupPlan:
    """Plan and write the Node; plan again if another writer was faster."""
    for _ in range(_TRIES):
        view = _read_store(client)
        planned = startup_plan.plan(settings, facts, view)
        if planned.node is None:
            return planned
        try:
            node = _create_or_update(client, planned.node)
        except (AlreadyExistsError, ConflictError):
            continue
        if not settings.skip_address_check:
            _check_race(client, node, facts)
        return planned
    raise UnavailableError("the Node is changed by others all the time; try again")


def _read_store(client: Client) -> StoreView:
    return StoreView(
        nodes={node.name: node for node in client.nodes.list()},
        pools=tuple(client.ippools.list()),
        felix_configurations={c.name: c for c in client.felixconfigurations.list()},
        bgp_configurations={c.name: c for c in client.bgpconfigurations.list()},
    )


def _check_race(client: Client, node: Node, facts: HostFacts) -> None:
    """Give the address up if another node, which was written earlier, has it too."""
    nodes = {other.name: other for other in client.nodes.list()}
    clash = clashing(node, nodes)
    if clash is None or _revision(nodes[clash[0]]) > _revision(node):
        return
    try:
        check_addresses(node, nodes, facts)
    except NodeClashError:
        with contextlib.suppress(ConflictError):
            client.nodes.update(_without_addresses(node))
        raise


def _without_addresses(node: Node) -> Node:
    bgp = (node.spec.bgp or NodeBGPSpec()).with_(ipv4_address="", ipv6_address="")
    return node.with_(spec=node.spec.with_(bgp=None if bgp == NodeBGPSpec() else bgp))


def _revision(node: Node) -> int:
    return int(node.metadata.resource_version or 0)


def _write(client: Client, resource: Resource) -> None:
    """Create or update a default resource; one that another node just made will do."""
    with contextlib.suppress(AlreadyExistsError, ConflictError):
        _create_or_update(client, resource)


def _create_or_update(client: Client, resource: Any) -> Any:
    kind = client.resource(resource.kind)
    return kind.update(resource) if resource.metadata.resource_version else kind.create(resource)
