"""The HTTP endpoint that answers for an agent's health, and the client that asks it.

``GET /liveness`` and ``GET /readiness`` answer 204, or 503 with a table of what is wrong;
``GET /`` answers 200 with the table. Further paths can be served beside them (metrics).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from calico_node.health.model import Aggregator
from libcalico.errors import ConfigError, UnavailableError, ValidationError

_REQUEST_TIMEOUT_S = 5.0
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
    health: Aggregator, host: str, port: int, pages: Mapping[str, Page] | None = None
) -> AsyncIterator[int]:
    """Answer on ``host:port`` until the context ends; yields the port (0 asks for any).

    Args:
        pages: further path → what to answer.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    routes = {**(pages or {}), **_health_pages(health)}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _answer(routes, reader, writer)

    try:
        server = await asyncio.start_server(answer, host, port)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"health endpoint: cannot listen on {host}:{port}: {reason}") from error
    async with server:
        yield server.sockets[0].getsockname()[1]


def _health_pages(health: Aggregator) -> dict[str, Page]:
    def verdict(is_well: bool) -> Answer:
        return Answer(204) if is_well else Answer(503, health.summary().table())

    return {
        "/": lambda: Answer(200, health.summary().table()),
        "/liveness": lambda: verdict(health.summary().live),
        "/readiness": lambda: verdict(health.summary().ready),
    }


async def _answer(
    routes: Mapping[str, Page], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer one request. A client that is slow, gone or talks nonsense concerns nobody else."""
    try:
        async with asyncio.timeout(_REQUEST_TIMEOUT_S):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(_encode(_choose(routes, head)))
            await writer.drain()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


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
