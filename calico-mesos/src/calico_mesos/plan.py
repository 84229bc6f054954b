"""From requests to what IPAM is asked and what an endpoint is. Pure.

Two handles own the addresses of a task, because the agent uses one uid for both requests: one owns
those that it reserved, the other those that were allocated. Thereby an allocation that is repeated gets
the same addresses, and never those that were reserved before it.

Source: ``python-era-calico.md`` section 7 (netgroups, the profile of the agent, addresses in labels).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from calico_mesos.wire import AllocateArgs, IsolateArgs, Label
from libcalico.errors import ValidationError
from libcalico.ipam import AssignRequest, ReleaseRequest
from libcalico.net.addresses import Cidr, parse_address, parse_interface
from libcalico.net.ifnames import pod_interface
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.model import ObjectMeta
from libcalico.resources.names import NAMESPACE_LABEL
from libcalico.resources.nodes import Node
from libcalico.resources.policy import EntityRule, Rule
from libcalico.resources.profiles import Profile, ProfileSpec
from libcalico.workload import Attachment, Identity
from libcalico.workload.cni.identity import DEFAULT_NAMESPACE, sanitised

ORCHESTRATOR = "mesos"
INTERFACE = "eth0"
#: Netgroup whose members talk to everyone.
PUBLIC = "public"
#: Who owns an endpoint's addresses in IPAM: isolate writes it, cleanup gives back by it.
OWNERS = "mesos.projectcalico.org/owners"
#: Begins no handle of a CNI network, whose names have no colon.
_HANDLE = "mesos:"
#: Labels of a task that ask for particular addresses, and the family of those.
_ADDRESS_LABELS = {"ipv4_addrs": 4, "ipv6_addrs": 6}
_NOT_LABELS = {*_ADDRESS_LABELS, NAMESPACE_LABEL}
_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}")
_NETGROUP = re.compile(
    r"(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)


@dataclass(frozen=True, slots=True)
class Place:
    """This host.

    Attributes:
        node: its name in Calico.
        mtu: for workloads.
    """

    node: str
    mtu: int = 0


@dataclass(frozen=True, slots=True)
class Allocation:
    """What allocate needs: particular addresses from the task's labels, and others besides."""

    fixed: Sequence[Cidr]
    request: AssignRequest


def allocated(uid: str) -> str:
    """Return the handle of what was allocated to a task. Raises ValidationError for a wrong uid."""
    return f"{_HANDLE}{_checked('uid', uid)}:allocated"


def reserved(uid: str) -> str:
    """Return the handle of what a task reserved. Raises ValidationError for a wrong uid."""
    return f"{_HANDLE}{_checked('uid', uid)}:reserved"


def is_ours(handle: str | None) -> bool:
    """Whether a handle is a Mesos task's."""
    return handle is not None and handle.startswith(_HANDLE)


def _checked(name: str, text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValidationError(
            f"args.{name}: {text!r} is no identifier; use letters, digits, '-', '_' and '.'"
        )
    return text


def owner(uid: str, node: str) -> Mapping[str, str]:
    """Return what IPAM is told about the owner of an address."""
    return {"node": node, "orchestrator": ORCHESTRATOR, "uid": uid}


def allocation(args: AllocateArgs, node: str) -> Allocation:
    """Return what an allocate request asks of IPAM; addresses named by labels count.

    Raises:
        ValidationError: a number is negative, or a label holds no addresses.
    """
    for name, number in (("num_ipv4", args.num_ipv4), ("num_ipv6", args.num_ipv6)):
        if number < 0:
            raise ValidationError(f"args.{name}: {number} must not be negative")
    fixed = {4: _from_labels(args.labels, 4), 6: _from_labels(args.labels, 6)}
    num4 = max(0, args.num_ipv4 - len(fixed[4]))
    num6 = max(0, args.num_ipv6 - len(fixed[6]))
    request = AssignRequest(
        host=node,
        num4=num4,
        num6=num6,
        handle=allocated(args.uid),
        attributes=owner(args.uid, node),
        max_per_handle=max(num4, num6, 1),
    )
    return Allocation([*fixed[4], *fixed[6]], request)


def _from_labels(labels: Iterable[Label], version: int) -> list[Cidr]:
    """Read addresses from a label: a list in JSON or Python, or separated by commas."""
    found = []
    for label in labels:
        if _ADDRESS_LABELS.get(label.key) == version:
            texts = (part.strip(" \"'") for part in label.value.strip(" []").split(","))
            found += _of_family(f"label {label.key}", [text for text in texts if text], version)
    return list(dict.fromkeys(found))


def addresses(ipv4: Sequence[str], ipv6: Sequence[str]) -> list[Cidr]:
    """Return the addresses of a request, each once.

    Raises:
        ValidationError: there is none, or one is no address of its family; the text names it.
    """
    found = [*_of_family("args.ipv4_addrs", ipv4, 4), *_of_family("args.ipv6_addrs", ipv6, 6)]
    if not found:
        raise ValidationError("args: at least one address must be in ipv4_addrs or ipv6_addrs")
    return list(dict.fromkeys(found))


def any_addresses(texts: Sequence[str]) -> list[Cidr]:
    """Return addresses of either family. Raises ValidationError for what is none."""
    try:
        return list(dict.fromkeys(map(parse_address, texts)))
    except ValidationError as problem:
        raise ValidationError(f"args.ips: {problem}") from problem


def _of_family(where: str, texts: Sequence[str], version: int) -> list[Cidr]:
    try:
        found = [parse_address(text) for text in texts]
    except ValidationError as problem:
        raise ValidationError(f"{where}: {problem}") from problem
    for address in found:
        if address.version != version:
            raise ValidationError(f"{where}: {address.address} is no IPv{version} address")
    return found


def identity(container_id: str, node: str, namespace: str = DEFAULT_NAMESPACE) -> Identity:
    """Return whose endpoint it is. Raises ValidationError for a wrong container id."""
    return Identity(
        node=node,
        orchestrator=ORCHESTRATOR,
        namespace=namespace,
        endpoint=INTERFACE,
        container_id=container_id,
        workload=_checked("container_id", container_id),
    )


def host_interface(container_id: str) -> str:
    """Return the name of the host end: the same for every call about this container."""
    return pod_interface(ORCHESTRATOR, container_id)


def attachment(args: IsolateArgs, place: Place, owners: Sequence[ReleaseRequest]) -> Attachment:
    """Return the interface to make for a container.

    Raises:
        ValidationError: the container id, a label or a netgroup cannot be used.
    """
    return Attachment(
        identity=identity(args.container_id, place.node, namespace(args.labels)),
        host_interface=host_interface(args.container_id),
        interface=INTERFACE,
        mtu=place.mtu,
        labels=labels(args.labels),
        annotations={OWNERS: msgspec.json.encode(owners).decode()},
        profiles=[agent_profile_name(place.node), *netgroups(args.netgroups)],
    )


def owners_of(endpoint: WorkloadEndpoint) -> list[ReleaseRequest]:
    """Return how to give an endpoint's addresses back.

    Raises:
        ValidationError: somebody spoiled the annotation.
    """
    text = endpoint.metadata.annotations.get(OWNERS, "[]")
    try:
        return msgspec.json.decode(text, type=list[ReleaseRequest])
    except msgspec.DecodeError as problem:
        raise ValidationError(
            f"WorkloadEndpoint({endpoint.namespace}/{endpoint.name}): "
            f"metadata.annotations[{OWNERS!r}]: {problem}"
        ) from problem


def namespace(given: Iterable[Label]) -> str:
    """Return the namespace that a task's labels ask for, as with CNI."""
    asked = (label.value for label in given if label.key == NAMESPACE_LABEL)
    return next(asked, "") or DEFAULT_NAMESPACE


def labels(given: Iterable[Label]) -> dict[str, str]:
    """Return a task's labels as an endpoint can hold them: like CNI's, ``/`` becomes ``.``.

    No label of a task is therefore one of Calico's, nor that of a netgroup.

    Raises:
        ValidationError: two labels become one and differ. (Whether a label is too long is for the
            endpoint's validation to say: without it, policy might not select the task.)
    """
    found: dict[str, str] = {}
    for label in given:
        key, value = sanitised(label.key), sanitised(label.value)
        if label.key in _NOT_LABELS or not key:
            continue
        if found.setdefault(key, value) != value:
            raise ValidationError(
                f"args.labels: {label.key!r} is {key!r} in Calico, and so is another label"
            )
    return found


def netgroups(names: Iterable[str]) -> list[str]:
    """Return netgroups, each once; they are profiles of the same name.

    Raises:
        ValidationError: one cannot name a profile. Making it fit might join two groups.
    """
    found = list(dict.fromkeys(names))
    for name in found:
        if not _NETGROUP.fullmatch(name):
            raise ValidationError(
                f"args.netgroups: {name!r} cannot be a profile; use at most 63 of a-z, 0-9, '-' and "
                "'.', with a letter or digit at both ends of each part"
            )
    return found


def netgroup_label(name: str) -> str:
    """Return the label that a netgroup's members inherit; a task's own label cannot be so named."""
    return f"netgroup/{name}"


def netgroup_profile(name: str) -> Profile:
    """Return a netgroup's profile: members send anything, and receive from members.

    Those of :data:`PUBLIC` receive from everyone.
    """
    label = netgroup_label(name)
    source = EntityRule(selector="" if name == PUBLIC else f"has({label})")
    spec = ProfileSpec(
        ingress=[Rule(action="Allow", source=source)],
        egress=[Rule(action="Allow")],
        labels_to_apply={label: ""},
    )
    return Profile(metadata=ObjectMeta(name=name), spec=spec)


def agent_profile_name(node: str) -> str:
    """Return the name of the profile that lets a node's tasks talk to its agent."""
    return f"mesos-agent.{node}"


def agent_profile(node: Node) -> Profile:
    """Return the profile that every task of a node has: executor and agent talk to each other."""
    nets = _own_nets(node)
    # A rule without nets would be one for everyone.
    spec = ProfileSpec(
        ingress=[Rule(action="Allow", source=EntityRule(nets=[net])) for net in nets],
        egress=[Rule(action="Allow", destination=EntityRule(nets=[net])) for net in nets],
    )
    return Profile(metadata=ObjectMeta(name=agent_profile_name(node.name)), spec=spec)


def _own_nets(node: Node) -> list[str]:
    bgp = node.spec.bgp
    texts = [bgp.ipv4_address, bgp.ipv6_address] if bgp else []
    texts += [one.address for one in node.spec.addresses]
    cidrs = (parse_interface(text).host() for text in texts if text)
    return list(dict.fromkeys(map(str, cidrs)))
