"""The kinds of values that Felix's parameters take, in their three forms.

* *spec value*: what a FelixConfiguration holds (durations as Go texts, lists as lists);
* *text*: what a configuration file, an environment variable or the v1 data model holds (durations
  in seconds, lists joined by commas);
* *value*: what Felix computes with (durations as float seconds, lists as tuples).

Source: ``calico-control-plane.md`` 2.9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_network
from typing import Any, Literal

from libcalico.errors import ValidationError
from libcalico.resources.durations import parse_duration
from libcalico.resources.felixconfig import HealthTimeoutOverride, ProtoPort, RouteTableRange

ValueType = Literal[
    "bool", "int", "duration", "text", "enum", "regex", "ipv4", "ipv6",
    "texts", "cidrs", "port", "ports", "failsafe ports", "timeouts", "map", "tables", "interfaces",
]  # fmt: skip

_TRUE = frozenset({"true", "1", "yes", "y", "t"})
_FALSE = frozenset({"false", "0", "no", "n", "f"})
#: CRD pattern of durations. The doubled backslash is upstream's: fractions do not match.
_CRD_DURATION = re.compile(r"([0-9]+(\\.[0-9]+)?(ms|s|m|h))*")
_FAILSAFE = re.compile(
    r"(?:(?P<protocol>tcp|udp|sctp):)?(?:(?:\[(?P<net6>[^\]]+)\]|(?P<net4>[0-9./]+)):)?(?P<port>[0-9]+)"
)
_ZERO: Mapping[ValueType, Any] = {
    "bool": False, "int": 0, "duration": 0.0, "timeouts": {}, "map": {}, "texts": (), "cidrs": (),
    "ports": (), "failsafe ports": (), "tables": (), "port": None, "interfaces": (),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One parameter of Felix.

    Attributes:
        name: name in file, environment (``FELIX_<name>``) and v1 data model.
        field: name in a FelixConfiguration's spec; empty for parameters that are local to a host.
        default: effective value when no source sets it; None: not set.
        low, high: inclusive bounds of an int.
        choices: canonical texts of an enum.
        any_case: the spec may spell the enum in any case (file and environment always may).
        pattern: regular expression that a text must match whole.
        fatal: Felix refuses to start with a bad value; otherwise it warns and uses the default.
        milliseconds: the text form of the duration is in ms, not s.
        fractions: the spec may hold a duration such as 1.5s.
        required: ``none`` (which means "unset, whatever lower sources say") is not accepted.
    """

    name: str
    type: ValueType
    field: str = ""
    default: Any = None
    low: int | None = None
    high: int | None = None
    choices: tuple[str, ...] = ()
    any_case: bool = False
    pattern: str = ""
    fatal: bool = False
    milliseconds: bool = False
    fractions: bool = False
    required: bool = False

    def parse(self, text: str) -> Any:
        """Return the value of a text from file, environment or v1 data model.

        An empty text gives the default. ``none`` gives the type's zero value.

        Raises:
            ValidationError: the text names no allowed value; starts with the parameter's name.
        """
        text = text.strip()
        if not text:
            return self.default
        if text.lower() == "none" and not self.required:
            return _ZERO.get(self.type, "")
        try:
            return _PARSERS[self.type](self, text)
        except ValueError as problem:
            raise ValidationError(f"{self.name}: {problem}, got {text!r}") from problem
        except ValidationError as problem:
            raise ValidationError(f"{self.name}: {problem}") from problem

    def to_text(self, spec_value: Any) -> str:
        """Return the v1 text of a spec value that is set (durations in seconds, lists joined)."""
        return _RENDERERS.get(self.type, _render_plain)(self, spec_value)

    def problem_with(self, spec_value: Any) -> str | None:
        """Return what is wrong with a spec value that is set, or None."""
        is_strict = self.type == "duration" and not self.fractions
        if is_strict and not _CRD_DURATION.fullmatch(spec_value):
            return (
                f"{spec_value!r} is no duration; write it as 90s, 1m30s or 500ms, without fractions"
            )
        if self.type == "enum" and not self.any_case and spec_value not in self.choices:
            return f"{spec_value!r} is not allowed; use one of {', '.join(self.choices)}"
        if spec_value == []:
            return None
        try:
            _PARSERS[self.type](self, self.to_text(spec_value))
        except (ValueError, ValidationError) as problem:
            return f"{problem}, got {spec_value!r}"
        return None


def _parse_bool(_: Param, text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("expected true or false")


def _parse_int(param: Param, text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}|0[xX][0-9a-fA-F]{1,16}", text):
        raise ValueError(f"expected a whole number{_bounds(param)}")
    value = int(text, 16) if text[:2] in ("0x", "0X") else int(text)
    low, high = param.low, param.high
    if (low is not None and value < low) or (high is not None and value > high):
        raise ValueError(f"expected a whole number{_bounds(param)}")
    return value


def _bounds(param: Param) -> str:
    if param.low is None:
        return ""
    return (
        f" of at least {param.low}" if param.high is None else f" from {param.low} to {param.high}"
    )


def _parse_duration(param: Param, text: str) -> float:
    unit = "milliseconds" if param.milliseconds else "seconds"
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"expected a number of {unit}") from None
    if not 0 <= number < 1e10:
        raise ValueError(f"expected a number of {unit} of at least 0")
    return number / 1000 if param.milliseconds else number


def _parse_text(param: Param, text: str) -> str:
    if param.pattern and not re.fullmatch(param.pattern, text):
        raise ValueError(f"expected text that matches {param.pattern}")
    return text


def _parse_enum(param: Param, text: str) -> str:
    for choice in param.choices:
        if choice.lower() == text.lower():
            return choice
    raise ValueError(f"expected one of {', '.join(param.choices)}")


def _parse_regex(_: Param, text: str) -> str:
    try:
        re.compile(text)
    except re.error as problem:
        raise ValueError(f"expected a regular expression ({problem})") from None
    return text


def _parse_ipv4(_: Param, text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise ValueError("expected an IPv4 address") from None


def _parse_ipv6(_: Param, text: str) -> str:
    try:
        return str(IPv6Address(text))
    except AddressValueError:
        raise ValueError("expected an IPv6 address") from None


def _members(text: str) -> list[str]:
    return [member.strip() for member in text.split(",") if member.strip()]


def _parse_texts(param: Param, text: str) -> tuple[str, ...]:
    return tuple(_parse_text(param, member) for member in _members(text))


def _parse_interfaces(param: Param, text: str) -> tuple[str, ...]:
    """Return names, and regular expressions between slashes."""
    members = tuple(_members(text))
    for member in members:
        if len(member) > 1 and member[0] == member[-1] == "/":
            _parse_regex(param, member[1:-1])
        elif not re.fullmatch(param.pattern, member):
            raise ValueError(
                f"{member!r} is no interface; write names, or regular expressions between slashes,"
                " joined by commas"
            )
    return members


def _parse_cidrs(_: Param, text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ip_network(member, strict=False)) for member in _members(text))
    except ValueError:
        raise ValueError("expected addresses or CIDRs, joined by commas") from None


def _parse_port_range(_: Param, text: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"([0-9]{1,5})(?::([0-9]{1,5}))?", text)
    if match:
        low, high = int(match[1]), int(match[2] or match[1])
        if low == high == 0:
            return None
        if 0 < low <= high <= 0xFFFF:
            return low, high
    raise ValueError("expected a port or a range such as 30000:32767")


def _parse_port_ranges(param: Param, text: str) -> tuple[tuple[int, int], ...]:
    ranges = [_parse_port_range(param, member) for member in _members(text)]
    if len(ranges) > 7:
        raise ValueError("expected at most 7 port ranges")
    return tuple(each for each in ranges if each)


def _parse_failsafe_ports(_: Param, text: str) -> tuple[ProtoPort, ...]:
    return tuple(_parse_failsafe_port(member) for member in _members(text))


def _parse_failsafe_port(text: str) -> ProtoPort:
    match = _FAILSAFE.fullmatch(text.lower())
    if not match or not 0 <= int(match["port"]) <= 0xFFFF:
        raise ValueError(f"{text!r} is no port; write tcp:22 or udp:10.0.0.0/8:68")
    net = match["net6"] or match["net4"] or ""
    if net:
        net = str(ip_network(net, strict=False))
    return ProtoPort(protocol=match["protocol"] or "tcp", port=int(match["port"]), net=net)


def _parse_timeouts(_: Param, text: str) -> dict[str, float]:
    timeouts = {}
    for name, value in _pairs(text):
        if not re.fullmatch(r"[a-zA-Z0-9_ -]+", name):
            raise ValueError(f"expected names of letters, digits, blanks, _ and -, got {name!r}")
        if name in timeouts:
            raise ValueError(f"{name!r} is set twice")
        timeouts[name] = parse_duration(value)
        if timeouts[name] < 0:
            raise ValueError(f"the timeout of {name!r} must be at least 0")
    return timeouts


def _parse_map(_: Param, text: str) -> dict[str, str]:
    return dict(_pairs(text))


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for member in _members(text):
        name, equals, value = member.partition("=")
        if not equals:
            raise ValueError("expected name=value pairs, joined by commas")
        pairs.append((name.strip(), value.strip()))
    return pairs


def _parse_tables(_: Param, text: str) -> tuple[tuple[int, int], ...]:
    ranges = []
    for member in _members(text):
        match = re.fullmatch(r"([0-9]{1,10})-([0-9]{1,10})", member)
        if not match or not 1 <= int(match[1]) <= int(match[2]) <= 0xFFFFFFFF:
            raise ValueError("expected ranges of route tables such as 1-250")
        ranges.append((int(match[1]), int(match[2])))
    if sum(high - low + 1 for low, high in ranges) > 0xFFFF:
        raise ValueError("expected at most 65535 route tables")
    return tuple(ranges)


def _render_plain(_: Param, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _render_duration(param: Param, value: str) -> str:
    seconds = parse_duration(value)
    number = seconds * 1000 if param.milliseconds else seconds
    return str(int(number)) if number == int(number) else repr(number)


def _render_list(_: Param, value: list[Any]) -> str:
    """Return the members as text; ``none`` for a list that is set but empty."""
    return ",".join(map(str, value)) or "none"


def _render_failsafe_ports(param: Param, value: list[ProtoPort]) -> str:
    return _render_list(param, [_render_failsafe_port(port) for port in value])


def _render_failsafe_port(port: ProtoPort) -> str:
    net = f"[{port.net}]:" if ":" in port.net else f"{port.net}:" if port.net else ""
    return f"{port.protocol.lower() or 'tcp'}:{net}{port.port}"


def _render_timeouts(_: Param, value: list[HealthTimeoutOverride]) -> str:
    return ",".join(f"{override.name}={override.timeout}" for override in value)


def _render_map(_: Param, value: Mapping[str, str]) -> str:
    return ",".join(f"{name}={text}" for name, text in sorted(value.items()))


def _render_tables(_: Param, value: list[RouteTableRange] | RouteTableRange) -> str:
    ranges = value if isinstance(value, list) else [value]
    return ",".join(f"{tables.min}-{tables.max}" for tables in ranges)


_PARSERS: Mapping[ValueType, Callable[[Param, str], Any]] = {
    "bool": _parse_bool,
    "int": _parse_int,
    "duration": _parse_duration,
    "text": _parse_text,
    "enum": _parse_enum,
    "regex": _parse_regex,
    "ipv4": _parse_ipv4,
    "ipv6": _parse_ipv6,
    "texts": _parse_texts,
    "interfaces": _parse_interfaces,
    "cidrs": _parse_cidrs,
    "port": _parse_port_range,
    "ports": _parse_port_ranges,
    "failsafe ports": _parse_failsafe_ports,
    "timeouts": _parse_timeouts,
    "map": _parse_map,
    "tables": _parse_tables,
}
_RENDERERS: Mapping[ValueType, Callable[[Param, Any], str]] = {
    "duration": _render_duration,
    "texts": _render_list,
    "cidrs": _render_list,
    "ports": _render_list,
    "failsafe ports": _render_failsafe_ports,
    "timeouts": _render_timeouts,
    "map": _render_map,
    "tables": _render_tables,
}
