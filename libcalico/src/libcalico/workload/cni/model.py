"""What a CNI runtime asks, and what it is answered. Names are those of the CNI specification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from libcalico.net.addresses import Cidr

#: Versions whose results we can give, oldest first.
VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
#: What a configuration without a version is written in.
OLDEST = VERSIONS[0]
CALICO = "calico"
CALICO_IPAM = "calico-ipam"


@dataclass(frozen=True, slots=True, kw_only=True)
class Args:
    """The environment of a call.

    Attributes:
        command: ``ADD``, ``DEL``, ``CHECK``, ``GC``, ``STATUS``, ``VERSION``.
        netns: path of the network namespace; empty if there is none any more.
        extra: ``CNI_ARGS``, key → value.
        path: folders of plugins.
    """

    command: str
    container_id: str = ""
    netns: str = ""
    ifname: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    path: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IpamConf:
    """The ``ipam`` section.

    Attributes:
        type: ``calico-ipam`` or the name of another plugin.
        num4: how many IPv4 addresses to assign: 0 or 1; ``num6`` likewise.
        pools4: names or CIDRs; None lets IPAM choose.
    """

    type: str
    num4: int = 1
    num6: int = 0
    pools4: Sequence[str] | None = None
    pools6: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetConf:
    """A network configuration.

    Attributes:
        version: never empty.
        etcd: its datastore settings, named as environment variables (``ETCD_ENDPOINTS``); may be empty.
        nodename: of this host, empty to read ``nodename_file``.
        mtu: of the interface, 0 to read Felix's file.
        require_mtu_file: whether ADD fails while Felix has not written that file.
        labels: for the endpoint, as the operator wrote them.
        mesos_labels: as a Mesos agent gave them; not yet fit to be labels of ours.
        profiles: of the endpoint; None: the one named after the network.
        addresses: particular addresses that the runtime asks for.
        wait_s: how long ADD waits for policy to be in force; None: for as long as is sensible.
        prev_result: what ADD answered, for DEL and CHECK.
        valid_attachments: (container id, interface) that exist, for GC.
        raw: the whole document.
    """

    version: str
    name: str
    type: str
    ipam: IpamConf | None
    etcd: Mapping[str, str] = field(default_factory=dict)
    nodename: str = ""
    nodename_file: str = "/var/lib/calico/nodename"
    nodename_file_optional: bool = False
    hostname: str = ""
    mtu: int = 0
    require_mtu_file: bool = False
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    mesos_labels: Mapping[str, str] = field(default_factory=dict)
    profiles: Sequence[str] | None = None
    addresses: Sequence[str] = ()
    mac: str = ""
    allow_ip_forwarding: bool | None = None
    include_default_routes: bool = True
    wait_s: float | None = None
    status_directory: str = ""
    dns: Mapping[str, Any] = field(default_factory=dict)
    log_level: str = ""
    log_file: str = ""
    prev_result: Mapping[str, Any] | None = None
    valid_attachments: Sequence[tuple[str, str]] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface that was made. ``sandbox`` is the path of its namespace, empty on the host."""

    name: str
    mac: str = ""
    sandbox: str = ""
    mtu: int = 0


@dataclass(frozen=True, slots=True)
class IpConfig:
    """An address with its prefix length, and the index of its interface in the result."""

    address: Cidr
    interface: int | None = None
    gateway: str = ""


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """A route of the workload."""

    dst: Cidr
    gateway: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What ADD made, whatever version it is told in."""

    interfaces: Sequence[Interface] = ()
    ips: Sequence[IpConfig] = ()
    routes: Sequence[RouteConfig] = ()
    dns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a plugin.

    Attributes:
        plugin: :data:`CALICO` or :data:`CALICO_IPAM`.
        netns_fd: an open descriptor of the network namespace, if the caller could open it. It stays
            the caller's to close.
    """

    plugin: str
    stdin: bytes
    environ: Mapping[str, str]
    netns_fd: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What the plugin prints, and the status it exits with."""

    stdout: bytes
    exit_code: int = 0
