"""From Docker's requests and labels to endpoints, interfaces, routes and profiles. Pure.

Source: ``platform.md`` section 3 (requests and replies), ``calico-control-plane.md`` 1.7 (names of
endpoints), 10.1 (what a network's profile allows).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from libcalico.errors import ValidationError
from libcalico.net.addresses import Cidr, parse_cidr, parse_interface
from libcalico.net.ifnames import container_interface
from libcalico.net.macs import WORKLOAD_HOST_MAC, parse_mac
from libcalico.resources import fieldchecks
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.model import ObjectMeta
from libcalico.resources.names import NAMESPACE_LABEL, ORCHESTRATOR_LABEL
from libcalico.resources.policy import EntityRule, Rule
from libcalico.resources.profiles import Profile, ProfileSpec
from libcalico.workload import plan as workload_plan
from libcalico.workload.model import GATEWAY_V4, GATEWAY_V6, Attachment, Identity
from libnetwork_plugin import pools, wire

ORCHESTRATOR: Final = "libnetwork"
#: Label that the members of a network get from its profile; its value is the profile's name.
NETWORK_LABEL: Final = "projectcalico.org/network"
#: Annotations of an endpoint: the network it is in, and the sandbox it was put into.
NETWORK_ID: Final = "libnetwork.projectcalico.org/network-id"
SANDBOX: Final = "libnetwork.projectcalico.org/sandbox"
#: Annotation of a profile: JSON object, Docker network id → node that has the network.
NETWORKS: Final = "libnetwork.projectcalico.org/networks"
#: Containers' labels that begin so become labels without it. Source: Calico's Go libnetwork plugin.
LABEL_PREFIX: Final = "org.projectcalico.label."

_OUR_LABELS: Final = "projectcalico.org/"
_PEER_PREFIX: Final = "tmp"
_INSIDE_PREFIX: Final = "cali"
_CONNECTED_ROUTE: Final = 1
_STRANGE: Final = re.compile(r"[^a-z0-9]+")
_DIGEST_CHARACTERS: Final = 8


def identity(node: str, namespace: str, endpoint_id: str) -> Identity:
    """Return who an endpoint is in Calico."""
    return Identity(
        node=node,
        orchestrator=ORCHESTRATOR,
        namespace=namespace,
        workload=ORCHESTRATOR,
        endpoint=endpoint_id,
    )


def host_interface(endpoint_id: str, prefix: str = _INSIDE_PREFIX) -> str:
    """Return the name of the end of the endpoint's interface that stays on the host."""
    return container_interface(endpoint_id, prefix)


def peer_interface(endpoint_id: str) -> str:
    """Return the name of the other end until Docker moves it into the container.

    It must not begin as workload interfaces do: Felix would take it for one.
    """
    return container_interface(endpoint_id, _PEER_PREFIX)


def mac_of(request: wire.CreateEndpoint) -> bytes:
    """Return the MAC for the container's end: the one asked for, else ee:ee:ee:ee:ee:ee.

    With an IPv6 address it is one made of the endpoint's id: the link-local address that belongs to
    ee:ee:ee:ee:ee:ee is the host's end, the container's gateway.

    Source: python-era-calico reference, 9.2 and appendix J (the fixed MAC is relied upon).

    Raises:
        ValidationError: what is asked for is no MAC address, or the host's with IPv6.
    """
    asked = request.interface or wire.Interface()
    wanted = parse_mac(asked.mac_address) if asked.mac_address else WORKLOAD_HOST_MAC
    if not asked.address_ipv6 or wanted != WORKLOAD_HOST_MAC:
        return wanted
    if asked.mac_address:
        raise ValidationError(
            f"MAC {asked.mac_address} is that of the IPv6 gateway; ask for another, or for none"
        )
    digest = hashlib.sha256(request.endpoint_id.encode()).digest()
    return bytes([digest[0] & 0xFC | 0x02]) + digest[1:6]


def addresses_of(request: wire.CreateEndpoint) -> list[Cidr]:
    """Return the endpoint's addresses, as /32 and /128.

    Raises:
        ValidationError: there are none, or one is no address.
    """
    asked = request.interface or wire.Interface()
    texts = [text for text in (asked.address, asked.address_ipv6) if text]
    if not texts:
        raise ValidationError(f"endpoint {request.endpoint_id}: Docker gave it no address")
    return [parse_interface(text).host() for text in texts]


def endpoint(request: wire.CreateEndpoint, who: Identity, host_end: str) -> WorkloadEndpoint:
    """Return the endpoint to store.

    It has no profile yet: until the container and the name of its network are known, which Docker does
    not tell a driver, nothing may pass but what policy allows to an endpoint without labels.

    Raises:
        ValidationError: the request lacks something.
    """
    attached = attachment(who, host_end)
    made = workload_plan.endpoint(attached, mac_of(request), addresses_of(request))
    annotations = {NETWORK_ID: request.network_id}
    return made.with_(metadata=made.metadata.with_(annotations=annotations))


def attachment(who: Identity, host_end: str, mtu: int = 0) -> Attachment:
    """Return how an endpoint's interface is to be made; 0 is the usual MTU."""
    peer = peer_interface(who.endpoint)
    return Attachment(identity=who, host_interface=host_end, interface=peer, mtu=mtu)


def again(stored: WorkloadEndpoint, wanted: WorkloadEndpoint) -> WorkloadEndpoint:
    """Return a stored endpoint after the request that made it came once more."""
    spec = stored.spec.with_(ip_networks=wanted.spec.ip_networks, mac=wanted.spec.mac)
    return stored.with_(spec=spec)


def cidrs_of(stored: WorkloadEndpoint) -> list[Cidr]:
    """Return the addresses of a stored endpoint."""
    return [parse_cidr(text, strict=False) for text in stored.spec.ip_networks]


def created_interface(request: wire.CreateEndpoint, stored: WorkloadEndpoint) -> dict[str, str]:
    """Return the interface that ``CreateEndpoint`` answers: only what Docker did not decide itself."""
    if request.interface is not None and request.interface.mac_address:
        return {}
    return {"MacAddress": stored.spec.mac}


def joined(endpoint_id: str, cidrs: Sequence[Cidr]) -> dict[str, Any]:
    """Return what ``Join`` answers: the interface for Docker to move, and the container's routes."""
    versions = {cidr.version for cidr in cidrs}
    gateways = {4: GATEWAY_V4, 6: GATEWAY_V6}
    used = [gateway for version, gateway in gateways.items() if version in versions]
    return {
        "InterfaceName": {"SrcName": peer_interface(endpoint_id), "DstPrefix": _INSIDE_PREFIX},
        "Gateway": GATEWAY_V4.address if 4 in versions else "",
        "GatewayIPv6": GATEWAY_V6.address if 6 in versions else "",
        "StaticRoutes": [
            {"Destination": str(gateway), "RouteType": _CONNECTED_ROUTE, "NextHop": ""}
            for gateway in used
        ],
    }


def in_sandbox(stored: WorkloadEndpoint, sandbox: str) -> WorkloadEndpoint:
    """Return the endpoint put into a sandbox; out of any if that is empty."""
    annotations = {k: v for k, v in stored.metadata.annotations.items() if k != SANDBOX}
    if sandbox:
        annotations[SANDBOX] = sandbox
    return stored.with_(metadata=stored.metadata.with_(annotations=annotations))


def refuse_second(endpoint_id: str, sandbox: str, others: Sequence[WorkloadEndpoint]) -> None:
    """Refuse a second network for a container.

    It could have one default route only, and packets of the second address would leave through the first
    interface, where they are spoofed.

    Raises:
        ValidationError: the sandbox has an endpoint already.
    """
    for other in others:
        if other.spec.endpoint == endpoint_id or not sandbox:
            continue
        if other.metadata.annotations.get(SANDBOX) == sandbox:
            raise ValidationError(
                "the container is on a Calico network already "
                f"({', '.join(other.spec.profiles) or other.metadata.annotations.get(NETWORK_ID)}); "
                "it can be on one only: disconnect it from that, or use policy to connect networks"
            )


def completed(
    stored: WorkloadEndpoint, container_id: str, container_labels: Mapping[str, str], profile: str
) -> WorkloadEndpoint:
    """Return an endpoint with what Docker's API told about its container and network."""
    ours = {NAMESPACE_LABEL, ORCHESTRATOR_LABEL}
    kept = {key: value for key, value in stored.metadata.labels.items() if key in ours}
    metadata = stored.metadata.with_(labels=labels(container_labels) | kept)
    spec = stored.spec.with_(container_id=container_id, profiles=[profile])
    return stored.with_(metadata=metadata, spec=spec)


def labels(container_labels: Mapping[str, str]) -> dict[str, str]:
    """Return a container's labels as the endpoint's: those that can be one, none in Calico's name.

    ``org.projectcalico.label.role=db`` becomes ``role=db`` and wins over a label ``role``.
    """
    plain = {k: v for k, v in container_labels.items() if not k.startswith(LABEL_PREFIX)}
    explicit = {
        k.removeprefix(LABEL_PREFIX): v
        for k, v in container_labels.items()
        if k.startswith(LABEL_PREFIX)
    }
    return {
        key: value
        for key, value in (plain | explicit).items()
        if not key.startswith(_OUR_LABELS) and not any(fieldchecks.label_map("", {key: value}))
    }


def profile_name(network: str) -> str:
    """Return the name of a network's profile: the network's own wherever Calico allows that name."""
    label_problems = fieldchecks.label_map("", {NETWORK_LABEL: network})
    if not any((*label_problems, *fieldchecks.subdomain("", network))):
        return network
    tidy = _STRANGE.sub("-", network.lower()).strip("-")[:40].strip("-")
    digest = hashlib.sha256(network.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{tidy or 'network'}-{digest}"


def profile(name: str) -> Profile:
    """Return a network's profile: its members may send anything, and receive from each other."""
    source = EntityRule(selector=f"{NETWORK_LABEL} == '{name}'")
    spec = ProfileSpec(
        ingress=[Rule(action="Allow", source=source)],
        egress=[Rule(action="Allow")],
        labels_to_apply={NETWORK_LABEL: name},
    )
    return Profile(metadata=ObjectMeta(name=name, annotations={NETWORKS: "{}"}), spec=spec)


def networks_of(stored: Profile) -> dict[str, str] | None:
    """Return the networks that share a profile (id → node), None if the profile is not ours to delete."""
    text = stored.metadata.annotations.get(NETWORKS)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def with_networks(stored: Profile, networks: Mapping[str, str]) -> Profile:
    """Return a profile with those networks on file."""
    annotations = stored.metadata.annotations | {
        NETWORKS: json.dumps(dict(sorted(networks.items())))
    }
    return stored.with_(metadata=stored.metadata.with_(annotations=annotations))


def check_network(request: wire.CreateNetwork) -> None:
    """Refuse a network that cannot work.

    Raises:
        ValidationError: it does not use our IPAM driver, or has several ranges of one family.
    """
    for family, data in ((4, request.ipv4_data or ()), (6, request.ipv6_data or ())):
        if len(data) > 1:
            raise ValidationError(f"a Calico network has one IPv{family} subnet at most")
        for one in data:
            if one.address_space not in (pools.LOCAL_SPACE, pools.GLOBAL_SPACE):
                raise ValidationError(
                    f"addresses of {one.pool} are not given out by Calico; create the network with "
                    "--ipam-driver of the same name as its driver"
                )


def unknown_options(request: wire.CreateNetwork) -> list[str]:
    """Return the ``--opt`` names of a network, none of which mean anything to us."""
    generic = (request.options or {}).get("com.docker.network.generic")
    return sorted(generic) if isinstance(generic, dict) else []


def published_ports(request: wire.ExternalConnectivity) -> list[int]:
    """Return the container's ports that were to be published on the host."""
    ports = (request.options or {}).get("com.docker.network.portmap")
    if not isinstance(ports, list):
        return []
    return [port["Port"] for port in ports if isinstance(port, dict) and "Port" in port]


def mac_bytes(stored: WorkloadEndpoint) -> bytes:
    """Return the MAC of the container's end."""
    return parse_mac(stored.spec.mac)


def is_complete(stored: WorkloadEndpoint, container_id: str, profile: str) -> bool:
    """Whether :func:`completed` has been stored already; a container's labels never change."""
    return stored.spec.container_id == container_id and stored.spec.profiles == [profile]


def is_older(timestamp: str | None, than: dt.datetime) -> bool:
    """Whether a time as Calico stores it (RFC 3339) is before another; what is no time is not."""
    try:
        return dt.datetime.fromisoformat(timestamp or "") < than
    except (ValueError, TypeError):  # TypeError: without a zone it cannot be compared
        return False
