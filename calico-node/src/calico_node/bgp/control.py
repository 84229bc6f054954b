"""BIRD's control socket, spoken directly: one command, one reply. No ``birdc`` is forked."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from calico_node.bgp import parse
from calico_node.bgp.parse import DaemonStatus, ProtocolState, Reply, RouteState
from libcalico.errors import UnavailableError

_TIMEOUT_S = 5.0
_LARGEST_PIECE = 65536


async def ask(path: Path, command: str, *, timeout_s: float = _TIMEOUT_S) -> Reply:
    """Send one command and return BIRD's reply.

    Raises:
        UnavailableError: nothing listens on the socket, or it did not answer in time.
        ValidationError: the answer is no reply of BIRD.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _converse(path, command)
    except (OSError, TimeoutError) as error:
        reason = str(error) or f"no reply within {timeout_s:g}s"
        raise UnavailableError(f"BIRD does not answer on {path}: {reason}") from error


async def _converse(path: Path, command: str) -> Reply:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        await _read_reply(reader)
        writer.write(f"{command}\n".encode())
        await writer.drain()
        return parse.reply(await _read_reply(reader))
    finally:
        writer.close()


async def _read_reply(reader: asyncio.StreamReader) -> str:
    text = ""
    while not parse.is_complete(text):
        piece = await reader.read(_LARGEST_PIECE)
        if not piece:
            raise ConnectionResetError("it closed the connection in the middle of a reply")
        text += piece.decode(errors="replace")
    return text


async def show_status(path: Path) -> DaemonStatus:
    """Return what ``show status`` tells; errors as in :func:`ask`."""
    return parse.status(await ask(path, "show status"))


async def show_protocols(path: Path) -> tuple[ProtocolState, ...]:
    """Return what ``show protocols`` tells; errors as in :func:`ask`."""
    return parse.protocols(await ask(path, "show protocols"))


async def show_routes(path: Path) -> tuple[RouteState, ...]:
    """Return what ``show route`` tells; errors as in :func:`ask`."""
    return parse.routes(await ask(path, "show route"))


def is_listening(path: Path) -> bool:
    """Whether something accepts connections on the socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
