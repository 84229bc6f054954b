"""What BIRD answers on its control socket → values.

A reply is a run of lines. A line that starts with four digits and a space is the last, one with a dash
after the digits has more to follow; a line that starts with a space continues the code before it,
one that starts with ``+`` is an asynchronous message and belongs to no reply.

Codes used here: 0001 greeting, 0003 reconfigured, 0004 in progress, 0013 daemon is up,
0018 reconfiguration confirmed, 0024 graceful restart recovery, 1002 protocol, 1007 route,
1000 version, 1011 uptime; 8xxx run-time errors, 9xxx syntax errors.

Source: BIRD 2 programmer's documentation, "Control connection" and ``doc/reply_codes``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from libcalico.errors import ValidationError

_CODED = re.compile(r"(\d{4})([ -])(.*)", re.DOTALL)
_FIRST_ERROR_CODE = 8000
_RECOVERY_CODE = 24
_SESSION_NAME = re.compile(r"(Mesh|Global|Node)_(.+?)(?:_port_(\d+))?")
_ROUTE = re.compile(
    r"(?P<net>\S+/\d+)?\s+(?P<kind>unicast|blackhole|unreachable|prohibit)\s+\[(?P<rest>.*)"
)
_VIA = re.compile(r"via (?P<gateway>\S+) on (?P<interface>\S+)")


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer: (code, text) of each line, in order."""

    lines: tuple[tuple[int, str], ...]

    @property
    def error(self) -> str:
        """The first error text, "" if BIRD did what was asked."""
        return next((text for code, text in self.lines if code >= _FIRST_ERROR_CODE), "")

    def texts(self, code: int) -> tuple[str, ...]:
        """Return the texts of all lines with a code."""
        return tuple(text for found, text in self.lines if found == code)


@dataclass(frozen=True, slots=True)
class ProtocolState:
    """One line of ``show protocols``. ``since`` and ``info`` are BIRD's own words."""

    name: str
    protocol: str
    state: str
    since: str
    info: str

    @property
    def is_established(self) -> bool:
        """Whether a BGP session is up."""
        return self.protocol == "BGP" and self.info.startswith("Established")


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """``show status``: the version, the router id, and whether a graceful restart is under way."""

    version: str
    router_id: str
    recovering: bool


@dataclass(frozen=True, slots=True)
class RouteState:
    """One route of ``show route``: destination, BIRD's kind, gateway and interface of the first path."""

    destination: str
    kind: str
    protocol: str
    gateway: str
    interface: str


def is_complete(text: str) -> bool:
    """Whether the text ends with the last line of a reply."""
    lines = [line for line in text.splitlines() if not line.startswith("+")]
    if not lines or not text.endswith("\n"):
        return False
    match = _CODED.fullmatch(lines[-1])
    return match is not None and match[2] == " "


def reply(text: str) -> Reply:
    """Return the lines of one reply.

    Raises:
        ValidationError: the text is no reply of BIRD.
    """
    lines: list[tuple[int, str]] = []
    for line in text.splitlines():
        if line.startswith("+"):
            continue
        if match := _CODED.fullmatch(line):
            lines.append((int(match[1]), match[3]))
        elif line.startswith(" ") and lines:
            lines.append((lines[-1][0], line[1:]))
        else:
            raise ValidationError(f"BIRD answered {line!r}, which is no reply")
    return Reply(tuple(lines))


def protocols(answer: Reply) -> tuple[ProtocolState, ...]:
    """Return the protocols of ``show protocols``, in BIRD's order."""
    found = []
    for text in answer.texts(1002):
        fields = text.split(None, 4)
        if len(fields) < 4:
            raise ValidationError(f"BIRD shows the protocol {text!r}, which has too few columns")
        name, protocol, _table, state, rest = [*fields, ""][:5]
        since, _, info = _split_since(rest)
        found.append(ProtocolState(name, protocol, state, since, info.strip()))
    return tuple(found)


def _split_since(rest: str) -> tuple[str, str, str]:
    """Split ``since`` from ``info``. An ISO date with a time takes two words, a plain time one."""
    date = re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?", rest)
    return (date[0], " ", rest[date.end() :]) if date else rest.partition(" ")


def status(answer: Reply) -> DaemonStatus:
    """Return what ``show status`` tells."""
    version = next((text.removeprefix("BIRD ").strip() for text in answer.texts(1000)), "")
    details = [text for code, text in answer.lines if code == 1011]
    router_id = next((t.removeprefix("Router ID is ") for t in details if "Router ID" in t), "")
    recovering = any(code == _RECOVERY_CODE for code, _ in answer.lines)
    return DaemonStatus(version, router_id, recovering)


def routes(answer: Reply) -> tuple[RouteState, ...]:
    """Return the routes of ``show route``, in BIRD's order; paths of one destination follow each other."""
    found: list[RouteState] = []
    destination = ""
    for text in answer.texts(1007) + answer.texts(1008):
        if match := _ROUTE.match(text):
            destination = match["net"] or destination
            protocol = match["rest"].split(" ", 1)[0]
            found.append(RouteState(destination, match["kind"], protocol, "", ""))
        elif found and (via := _VIA.search(text)) and not found[-1].gateway:
            last = found[-1]
            found[-1] = RouteState(
                last.destination, last.kind, last.protocol, via["gateway"], via["interface"]
            )
    return tuple(found)


def peer_of(name: str) -> tuple[str, str, int] | None:
    """Return (Mesh, Global or Node; address; port) of a session's name, None for other protocols.

    A name with four parts is IPv4, everything else IPv6: no IPv6 address has four groups only.
    """
    match = _SESSION_NAME.fullmatch(name)
    if not match:
        return None
    words = match[2].split("_")
    address = (":" if len(words) != 4 or "" in words else ".").join(words)
    return match[1], address, int(match[3] or 179)
