"""Checks of single values, each of which answers with what is wrong, or with nothing.

Every check takes the path of the field and yields texts ``path: what is wrong; what would be right``.
Source of the limits and expressions: ``calico-control-plane.md`` 2.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface
from typing import TypeVar

from libcalico.errors import SelectorSyntaxError, ValidationError
from libcalico.resources.durations import parse_duration
from libcalico.selector import parse

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
DNS_LABEL = re.compile(_LABEL)
DNS_SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
CONTAINER_ID = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")
INTERFACE = re.compile(r"[a-zA-Z0-9_.-]{1,15}")
BGP_IGNORED_INTERFACE = re.compile(r"[a-zA-Z0-9_.*-]{1,15}")
PORT_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
LOG_LEVELS = ("Trace", "Debug", "Info", "Warning", "Error", "Fatal")
MAX_ANNOTATIONS_BYTES = 256 * 1024

_QUALIFIED_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_GLOBAL = re.compile(r"global\(\s*\)")
_PORT_RANGE = re.compile(r"([0-9]+):([0-9]+)")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_MAC = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_Value = TypeVar("_Value")


def subdomain(path: str, text: str) -> Iterator[str]:
    """Require a DNS subdomain of at most 253 characters."""
    if len(text) > 253 or not DNS_SUBDOMAIN.fullmatch(text):
        yield (
            f"{path}: {text!r} is no name; use at most 253 of a-z, 0-9, '-' and '.', "
            "with a letter or digit at both ends of each part"
        )


def label_map(path: str, texts: Mapping[str, str]) -> Iterator[str]:
    """Require Kubernetes label keys and values."""
    for key, value in texts.items():
        yield from qualified_name(f"{path}[{key!r}]", key)
        if value and (len(value) > 63 or not _QUALIFIED_NAME.fullmatch(value)):
            yield (
                f"{path}[{key!r}]: the value {value!r} is not allowed; use at most 63 of letters, "
                "digits, '-', '_' and '.', with a letter or digit at both ends"
            )


def annotation_map(path: str, texts: Mapping[str, str]) -> Iterator[str]:
    """Require Kubernetes annotation keys, and a bound on the sum of all."""
    for key in texts:
        yield from qualified_name(f"{path}[{key!r}]", key.lower())
    size = sum(len(text.encode()) for pair in texts.items() for text in pair)
    if size > MAX_ANNOTATIONS_BYTES:
        yield f"{path}: {size} bytes are too many; at most {MAX_ANNOTATIONS_BYTES} are allowed"


def qualified_name(path: str, key: str) -> Iterator[str]:
    """Require ``[prefix/]name`` with a DNS subdomain as prefix."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not DNS_SUBDOMAIN.fullmatch(prefix)):
        yield f"{path}: the prefix {prefix!r} of the key is no DNS name"
    if len(name) > 63 or not _QUALIFIED_NAME.fullmatch(name):
        yield (
            f"{path}: the key {key!r} is not allowed; use at most 63 of letters, digits, '-', '_' "
            "and '.', with a letter or digit at both ends, behind an optional DNS name and '/'"
        )


def selector(
    path: str, text: str, *, global_allowed: bool = False, max_length: int = 0
) -> Iterator[str]:
    """Require a selector that parses; ``global()`` only alone, and only where it is allowed."""
    if max_length and len(text) > max_length:
        yield f"{path}: {len(text)} characters are too many; at most {max_length} are allowed"
    try:
        parse(text)
    except SelectorSyntaxError as problem:
        yield f"{path}: {problem}"
        return
    if _GLOBAL.search(_QUOTED.sub("", text)):
        if not global_allowed:
            yield f"{path}: global() is not allowed here; use all() or a label selector"
        elif not _GLOBAL.fullmatch(text.strip()):
            yield f"{path}: global() cannot be combined; it must be the whole selector"


def parse_address(text: str) -> Address | None:
    """Return the address, or None."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def parse_network(text: str) -> Network | None:
    """Return the network of an ``address/length`` text whose host bits may be set, or None."""
    if not re.fullmatch(r"[^/%]+/[0-9]{1,3}", text):
        return None
    try:
        return ip_interface(text).network
    except ValueError:
        return None


def address(path: str, text: str, version: int = 0) -> Iterator[str]:
    """Require an IP address, of one family if ``version`` is 4 or 6."""
    found = parse_address(text)
    if found is None:
        yield f"{path}: {text!r} is no IP address"
    elif version and found.version != version:
        yield f"{path}: {text!r} is no IPv{version} address"


def network(path: str, text: str, *, masked: bool = True) -> Iterator[str]:
    """Require a CIDR; ``masked`` refuses host bits that are set."""
    found = parse_network(text)
    if found is None:
        yield f"{path}: {text!r} is no CIDR; write it as 10.0.0.0/16 or fd00::/64"
    elif masked and ip_interface(text).ip != found.network_address:
        yield f"{path}: {text!r} has host bits set; did you mean {str(found)!r}?"


def is_inside(part: Network, whole: Network) -> bool:
    """Tell whether a network is a part of another one, or all of it."""
    if isinstance(part, IPv4Network):
        return isinstance(whole, IPv4Network) and part.subnet_of(whole)
    return isinstance(whole, IPv6Network) and part.subnet_of(whole)


def network_or_address(path: str, text: str) -> Iterator[str]:
    """Require a CIDR or an IP address."""
    if parse_address(text) is None and parse_network(text) is None:
        yield f"{path}: {text!r} is neither an IP address nor a CIDR"


def port(path: str, value: int | str) -> Iterator[str]:
    """Require a port, a range of ports or the name of a port."""
    if isinstance(value, int):
        if not 1 <= value <= 65535:
            yield f"{path}: {value} is no port; ports are 1 to 65535"
    elif match := _PORT_RANGE.fullmatch(value):
        low, high = int(match[1]), int(match[2])
        if not 1 <= low <= high <= 65535:
            yield f"{path}: {value!r} is no range of ports; write low:high within 1 to 65535"
    elif value.isdecimal() or not PORT_NAME.fullmatch(value):
        yield (
            f"{path}: {value!r} is no port; write a number, a range such as 8080:8090, or a port's "
            "name of letters, digits, '_', '.' and '-'"
        )


def whole_number(path: str, value: int, low: int, high: int) -> Iterator[str]:
    """Require a number within inclusive bounds."""
    if not low <= value <= high:
        yield f"{path}: {value} is out of range; it must be {low} to {high}"


def as_number(path: str, value: int | str) -> Iterator[str]:
    """Require an AS number of 32 bits."""
    if not isinstance(value, int) or not 0 <= value <= 0xFFFFFFFF:
        yield f"{path}: {value!r} is no AS number; write 0 to 4294967295, or two halves as 1.10"


def duration(path: str, text: str) -> Iterator[str]:
    """Require a Go duration that is not negative."""
    try:
        if parse_duration(text) < 0:
            yield f"{path}: {text!r} is negative"
    except ValidationError as problem:
        yield f"{path}: {problem}"


def moment(path: str, text: str) -> Iterator[str]:
    """Require an RFC 3339 time; Go Calico cannot read an object with any other."""
    try:
        known = bool(_MOMENT.fullmatch(text) and datetime.fromisoformat(text))
    except ValueError:
        known = False
    if not known:
        yield f"{path}: {text!r} is no time; write it as 2026-01-02T03:04:05Z, or leave it out"


def log_level(path: str, text: str) -> Iterator[str]:
    """Require a log level, in any case."""
    if text.capitalize() not in LOG_LEVELS:
        yield f"{path}: {text!r} is no log level; use one of {', '.join(LOG_LEVELS)}"


def matches(path: str, text: str, pattern: re.Pattern[str], what: str) -> Iterator[str]:
    """Require a text that matches the pattern as a whole; ``what`` says what it is."""
    if not pattern.fullmatch(text):
        yield f"{path}: {text!r} is no {what}; it must match {pattern.pattern}"


def mac(path: str, text: str) -> Iterator[str]:
    """Require a MAC address of six bytes."""
    if not _MAC.fullmatch(text):
        yield f"{path}: {text!r} is no MAC address; write it as ee:ee:ee:ee:ee:ee"


def unique(path: str, values: Iterable[_Value]) -> Iterator[str]:
    """Require that no value occurs twice."""
    seen: list[_Value] = []
    for value in values:
        if value in seen:
            yield f"{path}: {value!r} is there twice"
        seen.append(value)
