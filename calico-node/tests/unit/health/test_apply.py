import asyncio
import socket

import pytest

from calico_node.health.apply import Answer, ask, serve
from calico_node.health.checks import why_deaf, why_not
from calico_node.health.model import Aggregator, Report, Reporter
from libcalico.errors import ConfigError, UnavailableError

DEADLINE_S = 5.0


def answers(health, *paths, pages=None):
    async def conversation():
        async with serve(health, "127.0.0.1", 0, pages) as port:
            return [await ask("127.0.0.1", port, path) for path in paths]

    return asyncio.run(conversation())


def test_yes_is_204_and_no_is_503_with_the_table():
    health = Aggregator(lambda: 0.0)
    health.register(Reporter(name="watch"))
    live, ready, table = answers(health, "/liveness", "/readiness", "/")
    assert (live.status, live.body) == (204, "")
    assert ready.status == 503
    assert "watch      yes   no     starting" in ready.body
    assert table.status == 200
    health.report("watch", Report())
    assert answers(health, "/readiness")[0].status == 204


def test_further_pages_are_served_and_others_are_not_found():
    pages = {"/metrics": lambda: Answer(200, "m 1\n")}
    found, missing = answers(Aggregator(lambda: 0.0), "/metrics", "/x", pages=pages)
    assert (found.status, found.body) == (200, "m 1\n")
    assert missing.status == 404


@pytest.mark.parametrize("request_", [b"\xff\xfe\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"x", b""])
def test_nonsense_disturbs_nobody(request_):
    async def conversation():
        async with serve(Aggregator(lambda: 0.0), "127.0.0.1", 0) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request_)
            writer.close()
            return await ask("127.0.0.1", port, "/liveness")

    assert asyncio.run(conversation()).status == 204


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("", "127.0.0.1"),
        ("", "::1"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
    ],
)
def test_it_answers_on_every_address_of_a_name(host, asked):
    async def conversation():
        async with serve(Aggregator(lambda: 0.0), host, 0) as port:
            return await ask(asked, port, "/liveness")

    assert asyncio.run(conversation()).status == 204


def test_a_port_in_use_is_a_config_error():
    async def twice():
        health = Aggregator(lambda: 0.0)
        async with serve(health, "127.0.0.1", 0) as port, serve(health, "127.0.0.1", port):
            pass

    with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1"):
        asyncio.run(twice())


def test_nobody_listening_is_unavailable_and_a_reason():
    async def nobody():
        async with serve(Aggregator(lambda: 0.0), "127.0.0.1", 0) as port:
            pass
        with pytest.raises(UnavailableError):
            await ask("127.0.0.1", port, "/")
        return await why_not("127.0.0.1", port, "/readiness")

    assert "does not answer" in asyncio.run(nobody())


@pytest.mark.parametrize("turns", range(6))
def test_a_client_that_comes_as_the_place_closes_is_not_kept_waiting(turns):
    async def comes_last():
        async with serve(Aggregator(lambda: 0.0), "127.0.0.1", 0) as port:
            client = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
            client.sendall(b"GET /liveness HTTP/1.1\r\n\r\n")
            for _ in range(turns):
                await asyncio.sleep(0)
        return client

    async def outcome():
        with await comes_last() as client:
            try:
                return await asyncio.to_thread(client.recv, 4096)
            except ConnectionError:
                return b""

    assert asyncio.run(outcome()).split(b"\r\n")[0] in (b"", b"HTTP/1.1 204 No Content")


def test_why_not_names_the_check():
    health = Aggregator(lambda: 0.0)
    health.register(Reporter(name="watch"))

    async def conversation():
        async with serve(health, "127.0.0.1", 0) as port:
            return [await why_not("127.0.0.1", port, path) for path in ("/liveness", "/readiness")]

    well, unwell = asyncio.run(conversation())
    assert well == ""
    assert unwell.startswith("readiness check failed (HTTP 503)")


def test_a_socket_is_deaf_until_somebody_listens(tmp_path):
    path = tmp_path / "driver.sock"
    assert "No such file" in why_deaf(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert f"nobody listens at {path} (Connection refused)" in why_deaf(path)
        server.listen()
        assert why_deaf(path) == ""
