"""An endpoint that speaks TLS, and clients of every kind."""

import asyncio
import socket
import ssl
from dataclasses import replace

import pytest

from calico_node.health import apply
from calico_node.health.apply import Answer, serve
from calico_node.health.model import Aggregator, Setting, Tls
from calico_node.health.tls import CertificateError, Credentials

PAGES = {"/metrics": lambda: Answer(200, "m 1\n" * 100_000)}
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
DEADLINE_S = 10.0


@pytest.fixture
def tls(authority):
    return Tls(
        Setting("CertFile", str(authority.folder / "server.pem")),
        Setting("KeyFile", str(authority.folder / "server.key")),
        Setting("CAFile", str(authority.folder / "ca.pem")),
    )


def client_context(authority, certificate=""):
    context = ssl.create_default_context(cafile=authority.folder / "ca.pem")
    if certificate:
        pair = authority.folder / f"{certificate}.pem", authority.folder / f"{certificate}.key"
        context.load_cert_chain(*pair)
    return context


def fetch(port, context):
    """Return the whole answer, empty if there is none."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(REQUEST)
            found = b""
            while received := connection.recv(1 << 16):
                found += received
            return found
    except (ssl.SSLError, ConnectionError):
        return b""


def peer_name(port, context):
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        return dict(part[0] for part in connection.getpeercert()["subject"])["commonName"]


def conversation(tls, talk):
    """Serve, and talk from a thread; return what was heard."""

    async def both():
        async with serve(Aggregator(lambda: 0.0), "127.0.0.1", 0, PAGES, tls) as port:
            return await asyncio.to_thread(talk, port)

    return asyncio.run(both())


def is_whole(answer):
    return answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"m 1\n" * 100_000)


@pytest.mark.parametrize(
    ("clients", "served"),
    [
        ("required", {"": False, "client": True, "stranger": False}),
        ("optional", {"": True, "client": True, "stranger": False}),
        ("none", {"": True, "client": True, "stranger": True}),
    ],
)
def test_clients_are_asked_for_a_certificate_as_configured(authority, tls, clients, served):
    def talk(port):
        return {name: is_whole(fetch(port, client_context(authority, name))) for name in served}

    assert conversation(replace(tls, clients=clients), talk) == served


def test_without_an_authority_no_client_can_be_verified(tls):
    with pytest.raises(CertificateError, match=r"^CAFile: must name a file"):
        Credentials(replace(tls, authority=Setting("CAFile")))
    assert Credentials(replace(tls, authority=Setting("CAFile"), clients="none"))


def test_a_bad_handshake_disturbs_nobody(authority, tls):
    def talk(port):
        for nonsense in (REQUEST, b"", b"\x16\x03\x01", b"\x00" * 70_000):
            with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain:
                plain.sendall(nonsense)
        fetch(port, ssl.create_default_context())  # does not know the authority
        return fetch(port, client_context(authority, "client"))

    assert is_whole(conversation(tls, talk))


def test_a_client_that_says_nothing_is_let_go_and_keeps_nobody_waiting(authority, tls, monkeypatch):
    monkeypatch.setattr(apply, "_REQUEST_TIMEOUT_S", 1.0)

    def talk(port):
        context = client_context(authority, "client")
        silent = [socket.create_connection(("127.0.0.1", port), DEADLINE_S) for _ in range(20)]
        shaken = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        shaken = context.wrap_socket(shaken, server_hostname="127.0.0.1")
        answer = fetch(port, context)
        with shaken:
            ends = [ended(connection) for connection in (*silent, shaken)]
        for connection in silent:
            connection.close()
        return answer, ends

    answer, ends = conversation(tls, talk)
    assert is_whole(answer)
    assert all(ends)


def ended(connection):
    """Wait until the other side is done with a connection."""
    try:
        return connection.recv(1) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def test_certificates_that_change_are_read_anew_and_bad_ones_are_not(authority, tls, caplog):
    files = {kind: authority.folder / f"server.{kind}" for kind in ("pem", "key")}
    others = {kind: authority.folder / f"renewed.{kind}" for kind in files}

    def talk(port):
        def name():
            return peer_name(port, client_context(authority, "client"))

        assert name() == "server"
        files["pem"].write_text("half a certif")
        assert name() == "server", "what cannot be read changes nothing"
        files["pem"].write_bytes(others["pem"].read_bytes())
        assert name() == "server", "the key is that of the old one"
        others["key"].rename(files["key"])
        assert name() == "renewed"
        files["pem"].unlink()
        assert name() == "renewed"
        (authority.folder / "ca.pem").write_bytes((authority.folder / "other-ca.pem").read_bytes())
        others["pem"].rename(files["pem"])
        known = ssl.create_default_context(cafile=authority.folder / "first-ca.pem")
        known.load_cert_chain(authority.folder / "client.pem", authority.folder / "client.key")
        assert fetch(port, known) == b"", "clients of the old authority are strangers now"
        known.load_cert_chain(authority.folder / "stranger.pem", authority.folder / "stranger.key")
        assert is_whole(fetch(port, known))

    conversation(tls, talk)
    assert "keeping the certificates" in caplog.text
