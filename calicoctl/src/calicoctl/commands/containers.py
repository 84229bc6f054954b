"""container add, remove, ip add, ip remove: interfaces of containers on this host.

Source of the words: python-era reference, sections 1.4 and B.2; but what fails says so by its exit code.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from calicoctl import containers, docker_engine
from calicoctl.commands import bgp, endpoints, ipam
from calicoctl.containers import Subject
from libcalico.client import Client
from libcalico.errors import (
    AlreadyExistsError,
    CalicoError,
    ConfigError,
    NotFoundError,
    ValidationError,
)
from libcalico.net.addresses import Cidr, parse_address
from libcalico.net.ifnames import first_prefix
from libcalico.netlink.netns import Netns, open_netns
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.validate import validate
from libcalico.workload import Attachment, Workloads, addressing, interface
from libcalico.workload import plan as workload_plan
from libcalico.workload.cni import host as cni_host
from libcalico.workload.cni.model import CALICO, OLDEST, NetConf

_NODENAME_FILE = "/var/lib/calico/nodename"
#: How long to wait until policy is in force, on hosts whose Felix reports it.
_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Here:
    """This host.

    Attributes:
        node: its name in Calico.
        prefix: what the names of new interfaces begin with.
        mtu: for workloads.
    """

    node: str
    prefix: str
    mtu: int


def here() -> Here:
    """Return what this host is called, as calico-node calls it, and how interfaces are made on it.

    Raises:
        ConfigError: NODENAME names another node than the one that runs here.
    """
    node, file = bgp.this_node(), os.environ.get("CALICO_NODENAME_FILE") or _NODENAME_FILE
    conf = NetConf(version=OLDEST, name=CALICO, type=CALICO, ipam=None, nodename_file=file)
    try:
        runs = Path(file).read_text(encoding="utf-8").strip().lower() or node
    except OSError:
        runs = node
    if runs != node:
        raise ConfigError(
            f"NODENAME is {node}, but the calico-node of this host is {runs}:"
            " containers are managed on the host that they run on"
        )
    prefix = first_prefix(os.environ.get("FELIX_INTERFACEPREFIX", ""))
    return Here(node, prefix, cni_host.mtu(conf))


@contextmanager
def _opened(name: str, node: str) -> Iterator[tuple[Subject, Netns]]:
    """Yield who a container is, and its network namespace, to one command at a time."""
    if name.startswith("/"):
        subject, netns = _of_path(name, node), open_netns(name)
    else:
        described = docker_engine.describe(name)
        containers.require_own_network(name, described)
        subject = containers.of_container(name, described.id, node)
        netns = docker_engine.open_network(name, described)
    with netns, open_netns() as own:
        if own.is_same(netns):
            raise ValidationError(f"{name} is in the host's network namespace, not in its own")
        fcntl.flock(netns.fileno(), fcntl.LOCK_EX)
        yield subject, netns


def _of_path(path: str, node: str) -> Subject:
    """Return who a namespace is; its file may be a link, which says nothing of the namespace's name."""
    place = Path(path)
    return containers.of_path(str(place.parent.resolve() / place.name), node)


def find(client: Client, name: str, node: str) -> tuple[Subject, WorkloadEndpoint | None]:
    """Return who a container is, and its endpoint on this host.

    A namespace's file and a full id need not exist any more.

    Raises:
        NotFoundError: Docker does not know it.
    """
    if name.startswith("/"):
        subject = _of_path(name, node)
        return subject, _stored(client, subject)
    if containers.is_full_id(name):
        subject = containers.of_container(name, name, node)
        stored = _stored(client, subject)
        if stored is not None:
            return subject, stored
    described = docker_engine.describe(name)
    subject = containers.of_container(name, described.id, node)
    return subject, _stored(client, subject)


def _stored(client: Client, subject: Subject) -> WorkloadEndpoint | None:
    found = endpoints.of_workload(client, subject.node, subject.orchestrator, subject.workload)
    return found[0] if found else None


def endpoint_of(client: Client, name: str) -> WorkloadEndpoint:
    """Return the endpoint of a container of this host.

    Raises:
        NotFoundError: it has none, or is on another host.
    """
    subject, stored = find(client, name, here().node)
    return _required(client, subject, stored)


def _required(
    client: Client, subject: Subject, stored: WorkloadEndpoint | None
) -> WorkloadEndpoint:
    if stored is not None:
        return stored
    if subject.orchestrator == containers.DOCKER:
        for other in client.workloadendpoints.list():
            if other.spec.container_id == subject.workload and other.spec.node != subject.node:
                raise NotFoundError(
                    f"{subject.name} is a container of host {other.spec.node}; run this there"
                )
    raise NotFoundError(
        f"{subject.name} has no interface of Calico; give it one: calicoctl container add"
    )


def _workloads(client: Client) -> Workloads:
    return Workloads(client, ipam.of(client))


def add(client: Client, name: str, wanted: str, interface_name: str) -> Sequence[str]:
    """Give a container an interface with an address; return what to say.

    Raises:
        CalicoError: that is not possible; nothing is left of it.
    """
    place = here()
    _require_node(client, place.node)
    with _opened(name, place.node) as (subject, netns):
        request = containers.request(subject, wanted, client.ippools.list())
        if _stored(client, subject) is not None:
            raise AlreadyExistsError(
                f"{name} has an interface of Calico; another address for it: calicoctl container"
                f" {name} ip add; after a restart: calicoctl container remove {name} first"
            )
        attachment = containers.attachment(
            subject,
            containers.check_interface(interface_name),
            prefixes=place.prefix,
            mtu=place.mtu,
        )
        # Refused before anything is made; the MAC is not known yet.
        validate(workload_plan.endpoint(attachment, bytes(6), []))
        workloads = _workloads(client)
        wait_s = _WAIT_S if workloads.felix_reports else 0
        made = workloads.attach(attachment, request, netns, wait_s=wait_s)
    late = [] if made.programmed is not False else [_LATE]
    return [*_added((a.cidr for a in made.addresses), name), *late]


_LATE = "Policy is not in force yet: until it is, nothing passes; see calicoctl node status"


def _added(cidrs: Iterable[Cidr], name: str) -> list[str]:
    return [f"IP {cidr.address} added to {name}" for cidr in cidrs]


def _require_node(client: Client, node: str) -> None:
    try:
        client.nodes.get(node)
    except NotFoundError as error:
        raise ConfigError(
            f"there is no node {node}: start calico-node on this host (calicoctl node run)"
        ) from error
    if ipam.cluster(client).spec.datastore_ready is False:
        raise ConfigError("the datastore is locked; unlock it: calicoctl datastore migrate unlock")


def remove(client: Client, name: str) -> Sequence[str]:
    """Take a container's interface and addresses away; it may be gone itself.

    Raises:
        NotFoundError: it has none.
    """
    subject, stored = find(client, name, here().node)
    attachment = (
        containers.attachment(subject, containers.INTERFACE, prefixes=here().prefix)
        if stored is None
        else containers.attachment_of(subject, stored)
    )
    workloads = _workloads(client)
    if stored is None and not _has_remains(workloads, attachment, subject):
        _required(client, subject, stored)
    workloads.detach(
        attachment.identity, host_interface=attachment.host_interface, handle=subject.handle
    )
    return [f"Removed Calico from {name}"]


def _has_remains(workloads: Workloads, attachment: Attachment, subject: Subject) -> bool:
    """Whether a command that was cut off left something."""
    if interface.exists(attachment.host_interface):
        return True
    try:
        return bool(workloads.ipam.ips_by_handle(subject.handle))
    except NotFoundError:
        return False


@contextmanager
def _attached(
    client: Client, name: str, interface_name: str | None
) -> Iterator[tuple[Subject, Netns, WorkloadEndpoint, Attachment]]:
    """Yield a running container that has an interface of Calico."""
    with _opened(name, here().node) as (subject, netns):
        stored = _required(client, subject, _stored(client, subject))
        own = stored.spec.endpoint
        if interface_name not in (None, own):
            raise ValidationError(f"{name} has its addresses on {own}, not on {interface_name}")
        attachment = containers.attachment_of(subject, stored)
        if not interface.exists(attachment.host_interface):
            raise CalicoError(
                f"{name} lost its interface, as a restart does: calicoctl container remove {name},"
                " then calicoctl container add"
            )
        yield subject, netns, stored, attachment


def add_ip(client: Client, name: str, wanted: str, interface_name: str | None) -> Sequence[str]:
    """Give a container that has an interface another address; return what to say.

    Raises:
        CalicoError: that is not possible; nothing is left of it.
    """
    with _attached(client, name, interface_name) as (subject, netns, stored, attachment):
        held = containers.addresses_of(stored)
        request = containers.request(subject, wanted, client.ippools.list(), held)
        given = addressing.add(_workloads(client), attachment, request, netns)
        return _added([address.cidr for address in given], name)


def remove_ip(client: Client, name: str, text: str, interface_name: str | None) -> Sequence[str]:
    """Take one address from a container; return what to say.

    Raises:
        NotFoundError: it has no such address.
    """
    cidr = parse_address(text)
    with _attached(client, name, interface_name) as (subject, netns, stored, attachment):
        held = containers.addresses_of(stored)
        if cidr not in held:
            has = ", ".join(one.address for one in held) or "no address"
            raise NotFoundError(f"{name} has no address {cidr.address}; it has {has}")
        addressing.remove(_workloads(client), attachment, cidr, netns=netns, handle=subject.handle)
    return [f"IP {cidr.address} removed from {name}"]
