"""The environment variables that start-up obeys → typed settings. Pure.

Source: Calico's calico/node configuration reference; the words and defaults are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from typing import Literal

from calico_node.startup.model import Interfaced, Version
from libcalico.errors import ConfigError
from libcalico.resources.numorstring import canonical_as_number

Backend = Literal["bird", "vxlan", "none"]
Encapsulation = Literal["Never", "Always", "CrossSubnet"]
_FALSE_WORDS = frozenset({"false", "0", "no", "n", "f"})
_ENCAPSULATIONS: Mapping[str, Encapsulation] = {
    "": "Never",
    "off": "Never",
    "never": "Never",
    "always": "Always",
    "crosssubnet": "CrossSubnet",
    "cross-subnet": "CrossSubnet",
}
_DEFAULT_BLOCK_SIZE: Mapping[Version, int] = {4: 26, 6: 122}
_HIGHEST_BLOCK_SIZE: Mapping[Version, int] = {4: 32, 6: 128}
_LOWEST_BLOCK_SIZE: Mapping[Version, int] = {4: 20, 6: 116}


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressSetting:
    """How the node gets its address of one family.

    Attributes:
        mode: ``autodetect``, ``none``, ``given``, or "" (keep what is stored, else family default).
        given: the address of mode ``given``; a bare one has the full prefix length.
        is_bare: whether ``given`` was written without a prefix length.
    """

    mode: Literal["", "autodetect", "none", "given"] = ""
    given: Interfaced | None = None
    is_bare: bool = False
    method: str = "first-found"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSetting:
    """The default pool of one family. ``cidr`` "" means choose one, "none" means no pool."""

    cidr: str = ""
    block_size: int
    ipip: Encapsulation = "Never"
    vxlan: Encapsulation = "Never"
    nat_outgoing: bool
    node_selector: str = "all()"
    disable_bgp_export: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the operator can say about start-up."""

    node_name: str
    hostname_override: str
    backend: Backend
    addresses: Mapping[Version, AddressSetting]
    as_number: int | None
    pools: Mapping[Version, PoolSetting]
    no_default_pools: bool
    skip_address_check: bool
    take_over: bool
    wait_for_datastore: bool
    cluster_type: str
    k8s_node_ref: str


def parse(environ: Mapping[str, str]) -> Settings:
    """Return the settings of an environment.

    Raises:
        ConfigError: a variable holds no usable value; the text names it and what would be right.
    """
    pools: dict[Version, PoolSetting] = {4: _pool(environ, 4), 6: _pool(environ, 6)}
    no_default_pools = _flag(environ, "NO_DEFAULT_POOLS", default=False)
    for version, pool in pools.items():
        if no_default_pools and pool.cidr not in ("", "none"):
            raise ConfigError(
                f"NO_DEFAULT_POOLS and CALICO_IPV{version}POOL_CIDR contradict each other; unset one"
            )
    return Settings(
        node_name=environ.get("NODENAME", "").strip(),
        hostname_override=environ.get("HOSTNAME", "").strip(),
        backend=backend(environ),
        addresses={4: _address(environ, 4), 6: _address(environ, 6)},
        as_number=_as_number(environ.get("AS", "").strip()),
        pools=pools,
        no_default_pools=no_default_pools,
        skip_address_check=_flag(environ, "DISABLE_NODE_IP_CHECK", default=False),
        take_over=_flag(environ, "CALICO_TAKE_OVER_NODE", default=False),
        wait_for_datastore=environ.get("WAIT_FOR_DATASTORE") == "true",
        cluster_type=environ.get("CLUSTER_TYPE", "").strip(),
        k8s_node_ref=environ.get("CALICO_K8S_NODE_REF", "").strip(),
    )


def backend(environ: Mapping[str, str]) -> Backend:
    """Return what programs routes between hosts: ``CALICO_NETWORKING_BACKEND``, default ``bird``.

    Raises:
        ConfigError: the word is unknown.
    """
    match environ.get("CALICO_NETWORKING_BACKEND", "").strip().lower():
        case "" | "bird":
            return "bird"
        case "vxlan":
            return "vxlan"
        case "none":
            return "none"
        case word:
            raise ConfigError(
                f"CALICO_NETWORKING_BACKEND: unknown backend {word!r}; it is bird, vxlan or none"
            )


def _flag(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    word = environ.get(name, "").strip().lower()
    return word not in _FALSE_WORDS if word else default


def _address(environ: Mapping[str, str], version: Version) -> AddressSetting:
    prefix = "IP" if version == 4 else "IP6"
    method = environ.get(f"{prefix}_AUTODETECTION_METHOD", "").strip() or "first-found"
    text = environ.get(prefix, "").strip()
    match text.lower():
        case "":
            return AddressSetting(method=method)
        case "autodetect":
            return AddressSetting(mode="autodetect", method=method)
        case "none":
            return AddressSetting(mode="none", method=method)
    try:
        given = ip_interface(text)
    except ValueError:
        given = None
    if given is None or given.version != version:
        raise ConfigError(
            f"{prefix}: {text!r} is no IPv{version} address; give one with or without"
            " /prefix-length, or 'autodetect', or 'none'"
        )
    return AddressSetting(mode="given", given=given, is_bare="/" not in text, method=method)


def _as_number(text: str) -> int | None:
    if not text:
        return None
    number = canonical_as_number(text)
    if isinstance(number, int) and 0 < number < 2**32:
        return number
    raise ConfigError(f"AS: {text!r} is no AS number; it is 1 to 4294967295, or x.y")


def _pool(environ: Mapping[str, str], version: Version) -> PoolSetting:
    prefix = f"CALICO_IPV{version}POOL_"
    return PoolSetting(
        cidr=_pool_cidr(environ, f"{prefix}CIDR", version),
        block_size=_block_size(environ, f"{prefix}BLOCK_SIZE", version),
        ipip=_encapsulation(environ, f"{prefix}IPIP") if version == 4 else "Never",
        vxlan=_encapsulation(environ, f"{prefix}VXLAN"),
        nat_outgoing=_flag(environ, f"{prefix}NAT_OUTGOING", default=version == 4),
        node_selector=environ.get(f"{prefix}NODE_SELECTOR", "").strip() or "all()",
        disable_bgp_export=_flag(environ, f"{prefix}DISABLE_BGP_EXPORT", default=False),
    )


def _pool_cidr(environ: Mapping[str, str], name: str, version: Version) -> str:
    text = environ.get(name, "").strip()
    if text.lower() in ("", "none"):
        return text.lower()
    try:
        cidr = ip_network(text)
    except ValueError as error:
        raise ConfigError(f"{name}: {text!r} is no CIDR ({error}); give one, or 'none'") from None
    if cidr.version != version:
        raise ConfigError(
            f"{name}: {text!r} is an IPv{cidr.version} CIDR; give an IPv{version} one"
        )
    return str(cidr)


def _block_size(environ: Mapping[str, str], name: str, version: Version) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return _DEFAULT_BLOCK_SIZE[version]
    low, high = _LOWEST_BLOCK_SIZE[version], _HIGHEST_BLOCK_SIZE[version]
    if text.isdecimal() and low <= int(text) <= high:
        return int(text)
    raise ConfigError(f"{name}: {text!r} is no block size; it is a prefix length, {low} to {high}")


def _encapsulation(environ: Mapping[str, str], name: str) -> Encapsulation:
    word = environ.get(name, "").strip()
    try:
        return _ENCAPSULATIONS[word.lower()]
    except KeyError:
        raise ConfigError(
            f"{name}: unknown mode {word!r}; it is Never, Always or CrossSubnet"
        ) from None
