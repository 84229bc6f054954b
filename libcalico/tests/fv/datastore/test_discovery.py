"""Service discovery against a small name server on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from libcalico.datastore.config import Endpoint
from libcalico.datastore.discovery import discover
from libcalico.errors import ConfigError, UnavailableError

RECORDS = {
    "_etcd-client._tcp.plain.example.": ["10 0 2379 b.example.", "0 0 2380 a.example."],
    "_etcd-client._tcp.both.example.": ["0 0 2379 a.example."],
    "_etcd-client-ssl._tcp.both.example.": ["0 0 2379 a.example."],
}


def serve(server: socket.socket) -> None:
    """Answer until an empty message comes."""
    while True:
        raw, peer = server.recvfrom(4096)
        if not raw:
            return
        query = dns.message.from_wire(raw)
        reply = dns.message.make_response(query)
        name = query.question[0].name.to_text()
        if name in RECORDS:
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", "SRV", *RECORDS[name]))
        elif "broken" in name:
            reply.set_rcode(dns.rcode.SERVFAIL)
        else:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        server.sendto(reply.to_wire(), peer)


@pytest.fixture
def resolver() -> Iterator[dns.resolver.Resolver]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        serving = threading.Thread(target=serve, args=[server])
        serving.start()
        made = dns.resolver.Resolver(configure=False)
        made.nameservers = ["127.0.0.1"]
        made.port = server.getsockname()[1]
        yield made
        server.sendto(b"", server.getsockname())
        serving.join()


def test_plain_members_come_in_order_of_priority(resolver):
    assert discover("plain.example", resolver) == (
        Endpoint("a.example", 2380, False),
        Endpoint("b.example", 2379, False),
    )


def test_tls_members_are_preferred(resolver):
    assert discover("both.example", resolver) == (Endpoint("a.example", 2379, True),)


def test_a_domain_without_records_is_a_wrong_setting(resolver):
    with pytest.raises(ConfigError, match=r"'none.example' publishes no _etcd-client"):
        discover("none.example", resolver)


def test_a_failing_name_server_is_unavailable(resolver):
    with pytest.raises(
        UnavailableError, match=r"DNS lookup of _etcd-client-ssl._tcp.broken.example"
    ):
        discover("broken.example", resolver)
