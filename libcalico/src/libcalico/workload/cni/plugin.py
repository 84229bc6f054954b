"""The verbs of the ``calico`` plugin: ADD, DEL, CHECK, GC, STATUS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path

from libcalico.client import Client
from libcalico.errors import NetlinkError
from libcalico.net.addresses import Cidr
from libcalico.net.ifnames import first_prefix
from libcalico.net.macs import mac_text, parse_mac
from libcalico.netlink.netns import Netns, open_netns
from libcalico.resources.clusterinfo import ClusterInformation
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.model import Resource, ResourceId
from libcalico.resources.names import parse_name
from libcalico.workload.apply import Workloads
from libcalico.workload.cni import host, identity, results
from libcalico.workload.cni import ipam as cni_ipam
from libcalico.workload.cni.errors import (
    CHECK_FAILED,
    INVALID_CONFIGURATION,
    INVALID_ENVIRONMENT,
    NOT_AVAILABLE,
    TRY_AGAIN_LATER,
    CniError,
)
from libcalico.workload.cni.ipam import Delegate
from libcalico.workload.cni.model import (
    CALICO_IPAM,
    Args,
    Call,
    Interface,
    IpConfig,
    NetConf,
    Result,
    RouteConfig,
)
from libcalico.workload.fetch import fetch
from libcalico.workload.model import (
    AddressRequest,
    Attached,
    Attachment,
    Identity,
)

#: How long ADD waits for policy to be in force, on hosts whose Felix reports it.
_WAIT_S = 2.0
CLUSTER = ResourceId("ClusterInformation", "", "default")


def require_ready(client: Client) -> None:
    """Refuse while the datastore is locked or was never initialised. Source: 1.8.

    Raises:
        CniError: it is not ready; try again later.
    """
    check_ready(fetch(client.backend, CLUSTER).get(CLUSTER))


def check_ready(cluster: Resource | None) -> None:
    """As :func:`require_ready`, for a ClusterInformation as read."""
    ready = cluster.spec.datastore_ready if isinstance(cluster, ClusterInformation) else None
    if ready is None:
        raise CniError(
            TRY_AGAIN_LATER,
            "the datastore is not ready or has not been initialised",
            "start calico-node once, on any host",
        )
    if not ready:
        raise CniError(TRY_AGAIN_LATER, "Calico is currently not ready to process requests")


def opened(call: Call, args: Args) -> Netns | None:
    """Return the network namespace of a call, None if it does not exist (any more).

    The caller's descriptor comes first: its path may mean nothing in our mount namespace.
    """
    try:
        if call.netns_fd is not None:
            netns = open_netns(fd=call.netns_fd)
            netns.name = args.netns
            return netns
        return open_netns(Path(args.netns).absolute()) if args.netns else None
    except NetlinkError:
        return None


class CalicoPlugin:
    """One call of the plugin.

    Args:
        workloads: of the datastore of the network.
        conf: the network.
    """

    def __init__(self, workloads: Workloads, args: Args, conf: NetConf, call: Call) -> None:
        self._workloads = workloads
        self._args = args
        self._conf = conf
        self._call = call
        self._who = identity.identity(args, conf, host.node_name(conf))
        prefix = first_prefix(call.environ.get("FELIX_INTERFACEPREFIX", ""))
        self._host_interface = identity.host_interface(self._who, prefix)

    def add(self) -> Result:
        """Attach the container."""
        own_profile = ResourceId("Profile", "", self._conf.name)
        found = fetch(self._workloads.client.backend, CLUSTER, own_profile)
        check_ready(found.get(CLUSTER))
        with self._netns() as netns:
            profiles = self._profiles(exists=own_profile in found)
            delegate = self._delegate()
            if delegate is None:
                request = cni_ipam.request(self._args, self._conf, self._who)
                return self._result(self._attach(profiles, request, netns))
            return self._add_delegated(delegate, profiles, netns)

    def _add_delegated(self, delegate: Delegate, profiles: Sequence[str], netns: Netns) -> Result:
        delegate.find()
        with ExitStack() as undo:
            undo.callback(delegate.release_quietly)
            assigned = delegate.add()
            cidrs = [ip.address.host() for ip in assigned.ips]
            attached = self._attach(profiles, cidrs, netns, assigned.routes)
            undo.pop_all()
        return self._result(attached)

    def _netns(self) -> Netns:
        netns = opened(self._call, self._args)
        if netns is None:
            raise CniError(
                INVALID_ENVIRONMENT,
                f"CNI_NETNS: there is no network namespace {self._args.netns}",
            )
        return netns

    def _profiles(self, *, exists: bool) -> Sequence[str]:
        """Return the endpoint's profiles; the network's own is created if it is missing."""
        if self._conf.profiles is not None:
            return self._conf.profiles
        name = self._conf.name
        if not exists:
            is_pod = self._who.orchestrator == "k8s"
            self._workloads.create_profile(name, "" if is_pod else f"has({name})")
        return [name]

    def _delegate(self) -> Delegate | None:
        """Return the other IPAM plugin, None if Calico's own is asked for."""
        kind = cni_ipam.section(self._conf).type
        if kind == CALICO_IPAM:
            return None
        return Delegate(kind, self._args, self._call.environ, self._call.stdin)

    def _attach(
        self,
        profiles: Sequence[str],
        addresses: AddressRequest | Sequence[Cidr],
        netns: Netns,
        routes: Sequence[RouteConfig] = (),
    ) -> Attached:
        conf = self._conf
        attachment = Attachment(
            identity=self._who,
            host_interface=self._host_interface,
            interface=self._args.ifname,
            mac=self._mac(),
            mtu=host.mtu(conf),
            labels=identity.labels(conf),
            profiles=profiles,
            routes=[route.dst for route in routes],
            default_route=conf.include_default_routes or not routes,
            forwarding=conf.allow_ip_forwarding,
        )
        return self._workloads.attach(attachment, addresses, netns, wait_s=self._wait_s())

    def _mac(self) -> bytes | None:
        text = self._conf.mac or self._args.extra.get("MAC", "")
        return parse_mac(text) if text else None

    def _wait_s(self) -> float:
        if self._conf.wait_s is not None:
            return self._conf.wait_s
        return _WAIT_S if self._workloads.felix_reports else 0

    def _result(self, attached: Attached) -> Result:
        interfaces = [
            Interface(attached.host_interface, "ee:ee:ee:ee:ee:ee", mtu=attached.mtu),
            Interface(attached.interface, mac_text(attached.mac), self._args.netns, attached.mtu),
        ]
        ips = [IpConfig(address.cidr, 1) for address in attached.addresses]
        return Result(interfaces=interfaces, ips=ips, dns=self._conf.dns)

    def delete(self) -> None:
        """Detach the container; every part that is gone already is no error."""
        require_ready(self._workloads.client)
        delegate = self._delegate()
        netns = opened(self._call, self._args)
        with netns or nullcontext():
            self._workloads.detach(
                self._who,
                host_interface=self._host_interface,
                interface_name=self._args.ifname,
                netns=netns,
                handle=self._handle() if delegate is None else None,
            )
        if delegate is not None:
            delegate.delete()

    def _handle(self) -> str:
        return identity.handle(self._conf.name, self._args.container_id)

    def check(self) -> None:
        """Check that everything is as ADD left it.

        Raises:
            CniError: it is not; the text says everything that is wrong.
        """
        require_ready(self._workloads.client)
        if self._conf.prev_result is None:
            raise CniError(INVALID_CONFIGURATION, "network configuration: prevResult: missing")
        expected = [ip.address.host() for ip in results.decode(self._conf.prev_result).ips]
        delegate = self._delegate()
        with self._netns() as netns:
            problems = self._workloads.check(
                self._who,
                interface_name=self._args.ifname,
                netns=netns,
                expected=expected,
                handle=self._handle() if delegate is None else None,
            )
        if problems:
            raise CniError(CHECK_FAILED, "; ".join(problems))
        if delegate is not None:
            delegate.check()


class Maintenance:
    """The verbs that are not about one container.

    Args:
        workloads: of the datastore of the network.
        conf: the network.
    """

    def __init__(self, workloads: Workloads, conf: NetConf, call: Call) -> None:
        self._workloads = workloads
        self._conf = conf
        self._call = call

    def status(self) -> None:
        """Refuse if an ADD would fail.

        Raises:
            CniError: why it would.
        """
        host.node_name(self._conf)
        try:
            require_ready(self._workloads.client)
        except CniError as error:
            raise CniError(NOT_AVAILABLE, str(error), error.details) from error
        if cni_ipam.section(self._conf).type == CALICO_IPAM and not self._has_pool():
            raise CniError(NOT_AVAILABLE, "there is no enabled IP pool")

    def _has_pool(self) -> bool:
        return any(pool.is_enabled for pool in self._workloads.client.ippools.list())

    def garbage_collect(self, args: Args) -> None:
        """Detach containers of this network and node that the runtime does not know any more.

        ``calico-ipam`` on its own only releases their addresses.

        Whether a container is of this network is told by its IPAM handle; with another IPAM plugin, by
        the profile of its endpoint.
        """
        require_ready(self._workloads.client)
        node = host.node_name(self._conf)
        kept = {container for container, _ in self._conf.valid_attachments}
        if self._call.plugin == CALICO_IPAM:
            self._collect_handles(node, kept, {})
            return
        endpoints = self._endpoints_by_container(node)
        kind = cni_ipam.section(self._conf).type
        if kind == CALICO_IPAM:
            self._collect_handles(node, kept, endpoints)
            return
        for container, found in endpoints.items():
            if container not in kept:
                self._detach_all([e for e in found if self._conf.name in e.spec.profiles], None)
        Delegate(kind, args, self._call.environ, self._call.stdin).garbage_collect()

    def _endpoints_by_container(self, node: str) -> dict[str, list[WorkloadEndpoint]]:
        found: dict[str, list[WorkloadEndpoint]] = {}
        for endpoint in self._workloads.client.workloadendpoints.list():
            if endpoint.spec.node == node and endpoint.spec.container_id:
                found.setdefault(endpoint.spec.container_id, []).append(endpoint)
        return found

    def _collect_handles(
        self,
        node: str,
        kept: set[str],
        endpoints: Mapping[str, Sequence[WorkloadEndpoint]],
    ) -> None:
        prefix = identity.handle(self._conf.name, "")
        for handle, owner in self._workloads.ipam.owners(prefix).items():
            container = handle.removeprefix(prefix)
            if container in kept or owner.get("node") != node:
                continue
            self._detach_all(endpoints.get(container, ()), handle)
            self._workloads.ipam.release_if_any(handle)

    def _detach_all(self, endpoints: Sequence[WorkloadEndpoint], handle: str | None) -> None:
        for endpoint in endpoints:
            who = _identity_of(endpoint)
            self._workloads.detach(who, host_interface=endpoint.spec.interface_name, handle=handle)


def _identity_of(endpoint: WorkloadEndpoint) -> Identity:
    name = parse_name(endpoint.name)
    return Identity(
        node=endpoint.spec.node,
        orchestrator=name.orchestrator,
        namespace=endpoint.namespace,
        endpoint=name.endpoint,
        container_id=endpoint.spec.container_id,
        pod=endpoint.spec.pod,
    )
