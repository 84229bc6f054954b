"""Environment and standard input of a call → :class:`Args` and :class:`NetConf`, or a CniError.

Source: CNI SPEC; ``calico-dataplane.md`` 6.1 (keys of the configuration), ``platform.md`` section 4
(what runtimes really send).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from libcalico.workload.cni.errors import (
    INCOMPATIBLE_VERSION,
    INVALID_CONFIGURATION,
    INVALID_ENVIRONMENT,
    UNDECODABLE,
    UNSUPPORTED,
    CniError,
)
from libcalico.workload.cni.model import OLDEST, VERSIONS, Args, IpamConf, NetConf

_NAME = re.compile(r"[a-zA-Z0-9_.-]+")
_CONTAINER_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_IFNAME = re.compile(r"[^\s/:]{1,15}")
_COMMANDS = ("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION")
#: Variables that must be set, by command.
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "ADD": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "CHECK": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME"),
}
#: Version that introduced a command.
_SINCE = {"CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}
#: Key of the configuration → variable that libcalico.datastore.config knows.
_ETCD = {
    "datastore_type": "DATASTORE_TYPE",
    "etcd_endpoints": "ETCD_ENDPOINTS",
    "etcd_discovery_srv": "ETCD_DISCOVERY_SRV",
    "etcd_username": "ETCD_USERNAME",
    "etcd_password": "ETCD_PASSWORD",
    "etcd_key_file": "ETCD_KEY_FILE",
    "etcd_cert_file": "ETCD_CERT_FILE",
    "etcd_ca_cert_file": "ETCD_CA_CERT_FILE",
}
_MESOS = "org.apache.mesos"
#: Where the operator's own wishes for a workload are: ``"args": {"calico": {"labels": {...}}}``.
_OURS = "calico"


def args(environ: Mapping[str, str]) -> Args:
    """Read the environment of a call.

    Raises:
        CniError: a variable is missing or wrong; the text names it.
    """
    command = environ.get("CNI_COMMAND", "")
    if command not in _COMMANDS:
        known = ", ".join(_COMMANDS)
        raise _invalid_environment(f"CNI_COMMAND is {command!r}; it must be one of {known}")
    missing = [name for name in _REQUIRED.get(command, ()) if not environ.get(name)]
    if missing:
        raise _invalid_environment(f"{command} needs {', '.join(missing)}, which is not set")
    found = Args(
        command=command,
        container_id=environ.get("CNI_CONTAINERID", ""),
        netns=environ.get("CNI_NETNS", ""),
        ifname=environ.get("CNI_IFNAME", ""),
        extra=_extra(environ.get("CNI_ARGS", "")),
        path=[folder for folder in environ.get("CNI_PATH", "").split(":") if folder],
    )
    if command in _REQUIRED:
        _check_names(found)
    return found


def _check_names(found: Args) -> None:
    if not _CONTAINER_ID.fullmatch(found.container_id):
        raise _invalid_environment(f"CNI_CONTAINERID is {found.container_id!r}, not a valid name")
    if not _IFNAME.fullmatch(found.ifname) or found.ifname in (".", ".."):
        raise _invalid_environment(f"CNI_IFNAME is {found.ifname!r}, not a valid interface name")


def _extra(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(";") if pair]
    for key, equals, value in pairs:
        if not key or not equals:
            raise _invalid_environment(f"CNI_ARGS: {key + equals + value!r} is not KEY=VALUE")
    return {key: value for key, _, value in pairs}


def _invalid_environment(text: str) -> CniError:
    return CniError(INVALID_ENVIRONMENT, text)


def document(stdin: bytes) -> dict[str, Any]:
    """Read standard input as JSON.

    Raises:
        CniError: it is no JSON object.
    """
    try:
        value = msgspec.json.decode(stdin)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise CniError(
            UNDECODABLE, f"the network configuration on standard input is not JSON: {problem}"
        ) from problem
    if not isinstance(value, dict):
        raise CniError(UNDECODABLE, "the network configuration on standard input is not an object")
    return value


def version_of(stdin: bytes) -> str:
    """Return the version to tell an error in, whatever else is wrong with the configuration."""
    try:
        version = document(stdin).get("cniVersion")
    except CniError:
        return OLDEST
    return version if version in VERSIONS else OLDEST


def net_conf(stdin: bytes, command: str) -> NetConf:
    """Read a network configuration.

    Raises:
        CniError: it is no JSON, or a field is wrong; the text names it.
    """
    raw = document(stdin)
    read = _Reader(raw)
    version = read.version(command)
    name = read.text("name")
    if not _NAME.fullmatch(name):
        raise _invalid(f"name: {name!r} must be letters, digits, '_', '.', '-'")
    args_raw = read.section("args")
    ours, mesos = args_raw.section(_OURS), args_raw.section(_MESOS).section("network_info")
    runtime, container = read.section("runtimeConfig"), read.section("container_settings")
    _refuse_kubernetes(read)
    return NetConf(
        version=version,
        name=name,
        type=read.text("type"),
        ipam=_ipam(read),
        etcd=_etcd(read),
        nodename=read.text("nodename"),
        nodename_file=read.text("nodename_file") or "/var/lib/calico/nodename",
        nodename_file_optional=read.flag("nodename_file_optional") or False,
        hostname=read.text("hostname"),
        mtu=read.number("mtu"),
        require_mtu_file=read.flag("require_mtu_file") or False,
        namespace=ours.text("namespace"),
        labels=ours.texts_by_name("labels"),
        mesos_labels=_mesos_labels(mesos),
        profiles=ours.texts("profiles"),
        addresses=[
            *(runtime.texts("ips") or args_raw.section("cni").texts("ips") or ()),
            *(ours.texts("ips") or ()),
        ],
        mac=runtime.text("mac"),
        allow_ip_forwarding=container.flag("allow_ip_forwarding"),
        include_default_routes=_not_false(read.flag("include_default_routes")),
        wait_s=_seconds(read),
        status_directory=read.text("endpoint_status_dir"),
        dns=read.mapping("dns"),
        log_level=read.text("log_level"),
        log_file=read.text("log_file_path"),
        prev_result=raw.get("prevResult") if isinstance(raw.get("prevResult"), dict) else None,
        valid_attachments=_attachments(raw.get("cni.dev/valid-attachments")),
        raw=raw,
    )


def _refuse_kubernetes(read: _Reader) -> None:
    kind = read.section("policy").text("type")
    if kind:
        raise CniError(
            UNSUPPORTED,
            f"policy.type: {kind!r} is not supported: this plugin does not ask a Kubernetes API "
            "server; leave it out",
        )


def _ipam(read: _Reader) -> IpamConf | None:
    section = read.section("ipam")
    kind = section.text("type")
    if not kind:
        return None
    num4 = section.flag("assign_ipv4")
    return IpamConf(
        type=kind,
        num4=0 if num4 is False else 1,
        num6=1 if section.flag("assign_ipv6") else 0,
        pools4=section.texts("ipv4_pools"),
        pools6=section.texts("ipv6_pools"),
    )


def _etcd(read: _Reader) -> dict[str, str]:
    found = {variable: read.text(key) for key, variable in _ETCD.items()}
    authority = read.text("etcd_authority")
    if authority and not found["ETCD_ENDPOINTS"]:
        found["ETCD_ENDPOINTS"] = f"{read.text('etcd_scheme') or 'http'}://{authority}"
    return {variable: value for variable, value in found.items() if value}


def _mesos_labels(network_info: _Reader) -> dict[str, str]:
    labels = network_info.section("labels").raw.get("labels") or []
    if not isinstance(labels, list):
        raise _invalid(f"{network_info.path}labels.labels: must be a list of key and value")
    found = {}
    for label in labels:
        match label:
            case {"key": str(key)}:
                found[key] = str(label.get("value") or "")
            case _:
                raise _invalid(f"{network_info.path}labels.labels: {label!r} has no key")
    return found


def _attachments(raw: Any) -> list[tuple[str, str]]:
    if raw is None:
        return []
    try:
        return [(str(one["containerID"]), str(one["ifname"])) for one in raw]
    except (KeyError, TypeError) as problem:
        raise _invalid(
            "cni.dev/valid-attachments: must be a list of containerID and ifname"
        ) from problem


def _seconds(read: _Reader) -> float | None:
    raw = read.raw.get("policy_setup_timeout_seconds")
    if raw is None:
        return None
    if not isinstance(raw, int | float) or isinstance(raw, bool) or not 0 <= raw <= 3600:
        raise _invalid(f"policy_setup_timeout_seconds: {raw!r} must be seconds, 0 to 3600")
    return float(raw)


def _not_false(flag: bool | None) -> bool:
    return flag is not False


def _invalid(text: str) -> CniError:
    return CniError(INVALID_CONFIGURATION, f"network configuration: {text}")


class _Reader:
    """Reads fields of an object; a wrong type is an error that names the path. null is unset."""

    def __init__(self, raw: Mapping[str, Any], path: str = "") -> None:
        self.raw = raw
        self.path = path

    def version(self, command: str) -> str:
        """Return the version, and check that it knows the command. An empty one is the oldest."""
        version = self.text("cniVersion") or OLDEST
        if version not in VERSIONS:
            raise CniError(
                INCOMPATIBLE_VERSION,
                f"cniVersion {version!r} is not supported",
                f"supported are {', '.join(VERSIONS)}",
            )
        since = _SINCE.get(command, OLDEST)
        if VERSIONS.index(version) < VERSIONS.index(since):
            raise CniError(
                INCOMPATIBLE_VERSION, f"{command} came with cniVersion {since}, this is {version}"
            )
        return version

    def text(self, key: str) -> str:
        value = self.raw.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._wrong(key, "text")
        return value.strip()

    def number(self, key: str) -> int:
        value = self.raw.get(key)
        if value is None:
            return 0
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 65535:
            raise self._wrong(key, "a number from 0 to 65535")
        return value

    def flag(self, key: str) -> bool | None:
        """Return true or false, written as such or as text; None if unset."""
        value = self.raw.get(key)
        if value is None or value == "":
            return None
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def texts(self, key: str) -> list[str] | None:
        value = self.raw.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._wrong(key, "a list of texts")
        return value or None

    def texts_by_name(self, key: str) -> dict[str, str]:
        value = self.mapping(key)
        if not all(isinstance(one, str) for one in value.values()):
            raise self._wrong(key, "an object of texts")
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.raw.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._wrong(key, "an object")
        return value

    def section(self, key: str) -> _Reader:
        return _Reader(self.mapping(key), f"{self.path}{key}.")

    def _wrong(self, key: str, wanted: str) -> CniError:
        return _invalid(f"{self.path}{key}: must be {wanted}, not {self.raw[key]!r}")
