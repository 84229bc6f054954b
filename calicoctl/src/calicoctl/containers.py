"""Containers and network namespaces as workloads: who they are in Calico, and what is asked for them. Pure.

Docker's containers have the orchestrator ``docker`` and are named by their full id; whatever else has a
network namespace is named by its file and has the orchestrator ``namespace``. Source: python-era reference,
sections 0.3 and 1.4; unlike there, what was stored for a namespace is found under the same name again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from libcalico.errors import NotFoundError, ValidationError
from libcalico.net.addresses import Cidr, parse_address, parse_cidr
from libcalico.net.ifnames import DEFAULT_PREFIX, checked, pod_interface
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.ippools import IPPool
from libcalico.workload import AddressRequest, Attachment, Identity

DOCKER, NAMESPACE = "docker", "namespace"
#: Namespace of the endpoints.
IN = "default"
#: What the interface inside is called unless asked otherwise.
INTERFACE = "eth1"
_FULL_ID = re.compile(r"[0-9a-f]{64}")
_PLAIN_PATH = re.compile(r"(/[a-z0-9]+(\.[a-z0-9]+)*)+")
_STRANGE = re.compile(r"[^a-z0-9]+")
_DIGEST_CHARACTERS = 8
_LONGEST_WORKLOAD = 100
_ENDPOINT = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_FAMILIES: Mapping[str, Mapping[str, int]] = {
    "ipv4": {"num4": 1, "num6": 0},
    "ipv6": {"num4": 0, "num6": 1},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose interface it is.

    Attributes:
        name: as the user says it.
        orchestrator: ``docker`` or ``namespace``.
        workload: its name in Calico.
        node: this host's name in Calico.
    """

    name: str
    orchestrator: str
    workload: str
    node: str

    @property
    def handle(self) -> str:
        """Owner of its addresses in IPAM. A path means something on one host only."""
        where = f"{self.node}:" if self.orchestrator == NAMESPACE else ""
        return f"{self.orchestrator}:{where}{self.workload}"


def of_path(path: str, node: str) -> Subject:
    """Return who a network namespace is, by its file, an absolute path in a folder without symbolic links.

    The workload is the path with dashes, and a digest where two paths could come to the same.
    """
    workload = _STRANGE.sub("-", path.lower()).strip("-")[:_LONGEST_WORKLOAD].strip("-")
    if not _PLAIN_PATH.fullmatch(path) or len(path) > _LONGEST_WORKLOAD:
        digest = hashlib.sha256(path.encode()).hexdigest()[:_DIGEST_CHARACTERS]
        workload = f"{workload or 'root'}-{digest}"
    return Subject(name=path, orchestrator=NAMESPACE, workload=workload, node=node)


def of_container(name: str, container_id: str, node: str) -> Subject:
    """Return who a Docker container is, by its full id."""
    return Subject(name=name, orchestrator=DOCKER, workload=container_id, node=node)


def is_full_id(name: str) -> bool:
    """Whether this is a container's whole id, which needs no asking."""
    return _FULL_ID.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Described:
    """What Docker says of a container, as far as it matters here.

    Attributes:
        pid: of its first process; 0 if it does not run.
        network: its network mode: ``host``, ``none``, ``container:ID``, or a network.
    """

    id: str
    pid: int
    network: str


def parse_description(raw: Mapping[str, Any]) -> Described:
    """Read what ``docker inspect`` says."""
    state = raw["State"]
    pid = state["Pid"] if state["Running"] else 0
    return Described(raw["Id"], pid, raw["HostConfig"]["NetworkMode"])


def require_own_network(name: str, described: Described) -> None:
    """Refuse a container whose network is not its own, or that does not run.

    Raises:
        ValidationError: says why, and what to do.
    """
    if not described.pid:
        raise ValidationError(f"container {name} does not run; start it: docker start {name}")
    if described.network == "host":
        raise ValidationError(
            f"container {name} uses the host's network; protect that by a host endpoint"
        )
    kind, _, other = described.network.partition(":")
    if kind == "container":
        raise ValidationError(
            f"container {name} shares the network of container {other}; name that one instead"
        )


def check_interface(name: str) -> str:
    """Return a name for an interface inside.

    Raises:
        ValidationError: it cannot name one, or not an endpoint.
    """
    if not _ENDPOINT.fullmatch(checked(name)):
        raise ValidationError(
            f"--interface={name}: use a-z, 0-9, '-' and '.', with a letter or digit at both ends"
        )
    return name


def attachment(
    subject: Subject, interface: str, *, prefixes: str = DEFAULT_PREFIX, mtu: int = 0
) -> Attachment:
    """Return the interface to make, which then leads the way out.

    Args:
        subject: whose it is.
        interface: its name inside.
        prefixes: what Felix knows workload interfaces by; new ones begin with the first.
        mtu: 0 is the usual one.
    """
    is_container = subject.orchestrator == DOCKER
    identity = Identity(
        node=subject.node,
        orchestrator=subject.orchestrator,
        namespace=IN,
        endpoint=interface,
        container_id=subject.workload if is_container else "",
        workload=subject.workload,
    )
    host_interface = pod_interface(subject.orchestrator, subject.workload, prefixes)
    return Attachment(
        identity=identity,
        host_interface=host_interface,
        interface=interface,
        mtu=mtu,
        leads=True,
    )


def attachment_of(subject: Subject, stored: WorkloadEndpoint) -> Attachment:
    """Return how a stored endpoint was attached."""
    made = attachment(subject, stored.spec.endpoint)
    return replace(made, host_interface=stored.spec.interface_name or made.host_interface)


def addresses_of(stored: WorkloadEndpoint) -> list[Cidr]:
    """Return the addresses of an endpoint, /32 and /128."""
    return [parse_cidr(text, strict=False) for text in stored.spec.ip_networks]


def request(
    subject: Subject, wanted: str, pools: Sequence[IPPool], held: Sequence[Cidr] = ()
) -> AddressRequest:
    """Return what to ask IPAM for.

    Args:
        subject: whose address it is to be.
        wanted: ``ipv4``, ``ipv6``, an address, or the CIDR of a pool.
        pools: all pools.
        held: the addresses that the subject has.

    Raises:
        ValidationError: it is none of those.
        NotFoundError: there is no such pool.
    """
    what = _wanted(wanted, pools)
    attributes = {"node": subject.node, "orchestrator": subject.orchestrator}
    return AddressRequest(
        handle=subject.handle,
        attributes={**attributes, "workload": subject.workload},
        held=held,
        **what,
    )


def _wanted(text: str, pools: Sequence[IPPool]) -> dict[str, Any]:
    if text in _FAMILIES:
        return dict(_FAMILIES[text])
    try:
        if "/" not in text:
            return {"wanted": [parse_address(text).address]}
        cidr = parse_cidr(text)
    except ValidationError as error:
        raise ValidationError(
            f"{text!r} is no address: give one, or ipv4, ipv6, or the CIDR of a pool"
        ) from error
    if cidr not in [parse_cidr(pool.spec.cidr, strict=False) for pool in pools]:
        known = ", ".join(pool.spec.cidr for pool in pools) or "none at all"
        raise NotFoundError(f"there is no pool {cidr}; there are: {known}")
    family = "ipv4" if cidr.version == 4 else "ipv6"
    return {**_FAMILIES[family], f"pools{cidr.version}": [str(cidr)]}
