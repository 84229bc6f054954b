"""Requests and replies of Mesos' net-modules isolator, as JSON on standard input and output.

One process is started for each call, gets one JSON object and answers with one. Repeated fields that are
empty are absent. Labels are a list of key and value; older agents put that list into an object, and the
documentation shows an object of texts: all are read.

Source: interface.proto, network_isolator.cpp and docs/api.md of mesosphere/net-modules.
"""

from __future__ import annotations

from typing import Any

import msgspec

from libcalico.errors import ValidationError


class Label(msgspec.Struct, frozen=True):
    """A label of a task."""

    key: str
    value: str = ""


class _Labelled(msgspec.Struct, frozen=True, kw_only=True, rename={"sent_labels": "labels"}):
    """What has labels, in any of the forms."""

    sent_labels: tuple[Label, ...] | dict[str, str | tuple[Label, ...]] = ()

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels. Raises ValidationError if they are in no form that is known."""
        if not isinstance(self.sent_labels, dict):
            return self.sent_labels
        found: list[Label] = []
        for key, value in self.sent_labels.items():
            if isinstance(value, str):
                found.append(Label(key, value))
            elif key == "labels":
                found += value
            else:
                raise ValidationError(f"request: args.labels: the value of {key!r} must be text")
        return tuple(found)


class AllocateArgs(_Labelled, frozen=True, kw_only=True):
    """Ask for as many addresses of each family, for the task named by ``uid``."""

    hostname: str
    uid: str
    num_ipv4: int = 0
    num_ipv6: int = 0
    netgroups: tuple[str, ...] = ()


class ReserveArgs(_Labelled, frozen=True, kw_only=True):
    """Ask for these very addresses."""

    hostname: str
    uid: str
    ipv4_addrs: tuple[str, ...] = ()
    ipv6_addrs: tuple[str, ...] = ()
    netgroups: tuple[str, ...] = ()


class ReleaseArgs(msgspec.Struct, frozen=True, kw_only=True):
    """Give addresses back: all of a task, or these. Exactly one of the two is set."""

    uid: str = ""
    ips: tuple[str, ...] = ()


class IsolateArgs(_Labelled, frozen=True, kw_only=True):
    """Put the container whose first process is ``pid`` into the network."""

    hostname: str
    container_id: str
    pid: int
    ipv4_addrs: tuple[str, ...] = ()
    ipv6_addrs: tuple[str, ...] = ()
    netgroups: tuple[str, ...] = ()


class CleanupArgs(msgspec.Struct, frozen=True, kw_only=True):
    """Take a container out of the network."""

    hostname: str
    container_id: str


class Allocate(msgspec.Struct, frozen=True, tag_field="command", tag="allocate"):
    """Assign some addresses to a task."""

    args: AllocateArgs


class Reserve(msgspec.Struct, frozen=True, tag_field="command", tag="reserve"):
    """Assign given addresses to a task."""

    args: ReserveArgs


class Release(msgspec.Struct, frozen=True, tag_field="command", tag="release"):
    """Release addresses."""

    args: ReleaseArgs


class Isolate(msgspec.Struct, frozen=True, tag_field="command", tag="isolate"):
    """Network a container."""

    args: IsolateArgs


class Cleanup(msgspec.Struct, frozen=True, tag_field="command", tag="cleanup"):
    """Remove a container's networking."""

    args: CleanupArgs


Request = Allocate | Reserve | Release | Isolate | Cleanup
_DECODER: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)


def decode(data: bytes) -> Request:
    """Return the request in what the agent wrote.

    Raises:
        ValidationError: it is none; the text names the place in the JSON.
    """
    try:
        request = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValidationError(f"request: {error}") from error
    if isinstance(request, Release) and bool(request.args.uid) == bool(request.args.ips):
        raise ValidationError("request: release takes either args.uid or args.ips")
    return request


def allocated(ipv4: tuple[str, ...] = (), ipv6: tuple[str, ...] = ()) -> bytes:
    """Return the reply to allocate."""
    return _encode({"ipv4": list(ipv4), "ipv6": list(ipv6), "error": None})


def done() -> bytes:
    """Return the reply to every other request."""
    return _encode({"error": None})


def failed(text: str) -> bytes:
    """Return the reply that fails the task; the text is what an operator sees."""
    return _encode({"error": text})


def _encode(reply: dict[str, Any]) -> bytes:
    return msgspec.json.encode(reply)
