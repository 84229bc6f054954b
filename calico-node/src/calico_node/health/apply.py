"""The HTTP endpoint that answers for an agent's health, and the client that asks it.

``GET /liveness`` and ``GET /readiness`` answer 204, or 503 with a table of what is wrong;
``GET /`` answers 200 with the table. Further paths can be served beside them (metrics), and all of it
over TLS.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from calico_node.health.model import Aggregator, Tls
from calico_node.health.tls import Credentials
from libcalico.errors import ConfigError, UnavailableError, ValidationError

_REQUEST_TIMEOUT_S = 5.0
_REQUEST_LIMIT = 65_536  # octets of a request's head
_REASONS = {200: "OK", 204: "No Content", 404: "Not Found", 405: "Method Not Allowed"}
_REASONS[503] = "Service Unavailable"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an HTTP answer."""

    status: int
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"


Page = Callable[[], Answer]


@asynccontextmanager
async def serve(
    health: Aggregator,
    host: str,
    port: int,
    pages: Mapping[str, Page] | None = None,
    tls: Tls | None = None,
) -> AsyncIterator[int]:
    """Answer on ``host:port`` until the context ends; yields the port (0 asks for any).

    Args:
        pages: further path → what to answer.
        tls: what to speak TLS with; None: without.

    Raises:
        CertificateError: certificates cannot be used.
        ConfigError: the address cannot be listened on.
    """
    routes = {**(pages or {}), **_health_pages(health)}
    credentials = None if tls is None else Credentials(tls)
    try:
        listeners = await _listen(host, port)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"health endpoint: cannot listen on {host}:{port}: {reason}") from error
    conversations: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    try:
        for listener in listeners:
            loop.add_reader(listener, _accept, routes, listener, conversations, credentials)
        yield listeners[0].getsockname()[1]
    finally:
        for listener in listeners:
            loop.remove_reader(listener)
            listener.close()
        for conversation in conversations:
            conversation.cancel()


async def _listen(host: str, port: int) -> list[socket.socket]:
    """Listen on every address that *host* stands for; an empty one stands for all of this machine."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    listeners: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((family, address) for family, *_, address in found):
            # "Any port" is the same port on every address.
            chosen = port or (listeners[0].getsockname()[1] if listeners else 0)
            listener = socket.create_server((address[0], chosen), family=family)
            listener.setblocking(False)
            listeners.append(listener)
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _accept(
    routes: Mapping[str, Page],
    listener: socket.socket,
    conversations: set[asyncio.Task[None]],
    credentials: Credentials | None,
) -> None:
    """Start a conversation with who came.

    Not asyncio's server: of a client that it accepted in the turn in which it is closed, it keeps the
    connection open and says nothing (CPython issue 109564).
    """
    try:
        client, _ = listener.accept()
    except OSError:  # gone again
        return
    client.setblocking(False)
    context = None if credentials is None else credentials.context()
    conversation = asyncio.create_task(_answer(routes, client, context))
    conversations.add(conversation)
    conversation.add_done_callback(conversations.discard)
    conversation.add_done_callback(lambda _: client.close())


def _health_pages(health: Aggregator) -> dict[str, Page]:
    def verdict(is_well: bool) -> Answer:
        return Answer(204) if is_well else Answer(503, health.summary().table())

    return {
        "/": lambda: Answer(200, health.summary().table()),
        "/liveness": lambda: verdict(health.summary().live),
        "/readiness": lambda: verdict(health.summary().ready),
    }


async def _answer(
    routes: Mapping[str, Page], client: socket.socket, context: ssl.SSLContext | None
) -> None:
    """Answer one request. A client that is slow, gone or talks nonsense concerns nobody else."""
    with suppress(OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
        async with asyncio.timeout(_REQUEST_TIMEOUT_S):
            reader, writer = await _open(client, context)
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_encode(_choose(routes, head)))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
            finally:
                writer.transport.abort()


async def _open(
    client: socket.socket, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the two directions of a connection, once the handshake is done if there is to be one."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(_REQUEST_LIMIT, loop)
    transport, protocol = await loop.connect_accepted_socket(
        lambda: asyncio.StreamReaderProtocol(reader, loop=loop), client, ssl=context
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _choose(routes: Mapping[str, Page], head: bytes) -> Answer:
    method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
    page = routes.get(rest.split(" ")[0].split("?")[0])
    if method not in ("GET", "HEAD"):
        return Answer(405, "only GET is answered\n")
    return page() if page else Answer(404, f"pages: {' '.join(sorted(routes))}\n")


def _encode(answer: Answer) -> bytes:
    body = answer.body.encode()
    head = (
        f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Status')}\r\n"
        f"Content-Type: {answer.content_type}\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


async def ask(host: str, port: int, path: str) -> Answer:
    """Ask an agent's endpoint.

    Raises:
        UnavailableError: it does not answer in time.
    """
    try:
        async with asyncio.timeout(_REQUEST_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                return _decode(await reader.read())
            finally:
                writer.close()
    except (OSError, TimeoutError, ValidationError) as error:
        reason = str(error) or f"no answer within {_REQUEST_TIMEOUT_S:g}s"
        raise UnavailableError(
            f"health endpoint {host}:{port} does not answer: {reason}"
        ) from error


def _decode(answer: bytes) -> Answer:
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split()
    if len(words) < 2 or not words[1].isdigit():
        raise ValidationError(f"{head[:40]!r} is no HTTP answer")
    return Answer(int(words[1]), body.decode(errors="replace"))
