"""Calls and replies between the shim and the resident server, over a unix stream socket.

A call is a header, the environment and standard input; with its first byte travels, as SCM_RIGHTS, an
open descriptor of the network namespace if the shim could open it. A reply is a header and standard
output. One call per connection. Numbers are big-endian::

    call:   version u8 = 1 · plugin u8 · length of environment u32 · length of standard input u32
            environment: KEY=VALUE, each ended by a zero byte · standard input
    reply:  version u8 = 1 · exit code u8 · length of standard output u32 · standard output

The shim (``calico_cni.shim``) has a writer of its own, since it imports nothing; tests hold them equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct

from libcalico.errors import ValidationError
from libcalico.workload.cni.model import CALICO, CALICO_IPAM, Call, Reply

VERSION = 1
CALL_HEADER = Struct("!BBII")
REPLY_HEADER = Struct("!BBI")
#: More is no call of ours. Linux limits the environment to a few megabytes too.
MAX_BYTES = 4 << 20
_PLUGINS = (CALICO, CALICO_IPAM)


@dataclass(frozen=True, slots=True)
class CallHeader:
    """What follows the header of a call: so many bytes of environment and of standard input."""

    plugin: str
    environ_bytes: int
    stdin_bytes: int


def encode_call(call: Call) -> bytes:
    """Return a call's bytes, without the descriptor."""
    environ = b"".join(
        f"{name}={value}".encode(errors="surrogateescape") + b"\0"
        for name, value in call.environ.items()
    )
    header = CALL_HEADER.pack(VERSION, _PLUGINS.index(call.plugin), len(environ), len(call.stdin))
    return header + environ + call.stdin


def decode_call_header(data: bytes) -> CallHeader:
    """Read the header of a call.

    Raises:
        ValidationError: it is none, of another version, or announces too much.
    """
    if len(data) != CALL_HEADER.size:
        raise ValidationError(f"a call has a header of {CALL_HEADER.size} bytes, not {len(data)}")
    version, plugin, environ_bytes, stdin_bytes = CALL_HEADER.unpack(data)
    if version != VERSION:
        raise ValidationError(
            f"the call is of version {version}, this server knows {VERSION}; "
            "run 'calico-cni install' again"
        )
    if plugin >= len(_PLUGINS):
        raise ValidationError(f"there is no plugin number {plugin}")
    if environ_bytes + stdin_bytes > MAX_BYTES:
        raise ValidationError(f"a call has at most {MAX_BYTES} bytes")
    return CallHeader(_PLUGINS[plugin], environ_bytes, stdin_bytes)


def decode_environ(data: bytes) -> dict[str, str]:
    """Read the environment of a call; what is no KEY=VALUE is left out."""
    pairs = (part.partition(b"=") for part in data.split(b"\0") if b"=" in part)
    return {
        name.decode(errors="surrogateescape"): value.decode(errors="surrogateescape")
        for name, _, value in pairs
    }


def encode_reply(reply: Reply) -> bytes:
    """Return a reply's bytes."""
    return REPLY_HEADER.pack(VERSION, reply.exit_code, len(reply.stdout)) + reply.stdout


def decode_reply(data: bytes) -> Reply:
    """Read a whole reply.

    Raises:
        ValidationError: it is none, or incomplete.
    """
    if len(data) < REPLY_HEADER.size:
        raise ValidationError("the reply is incomplete")
    version, exit_code, length = REPLY_HEADER.unpack_from(data)
    stdout = data[REPLY_HEADER.size :]
    if version != VERSION or len(stdout) != length:
        raise ValidationError("the reply is incomplete or of another version")
    return Reply(stdout, exit_code)


def environ_of_interest(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a log line may show of a call's environment."""
    names = ("CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS")
    return {name: environ.get(name, "") for name in names}
