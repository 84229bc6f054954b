"""TLS with client certificates, users and passwords, and discovery by DNS, on real servers."""

from __future__ import annotations

import asyncio

import pytest

from libcalico.datastore.config import connect, connect_async
from libcalico.datastore.model import Revision
from libcalico.errors import UnauthorizedError, UnavailableError
from libcalico.testing.backend_contract import collect


def test_a_client_certificate_lets_in(tls_etcd):
    with connect(tls_etcd.config(**tls_etcd.identity())) as backend:
        revision = backend.put("/a", b"1")
        with backend.watch(["/"], revision) as batches:
            assert len(collect(batches, 1)) == 1

    async def get() -> bytes:
        asynchronous = connect_async(tls_etcd.config(**tls_etcd.identity()))
        item = await asynchronous.get("/a")
        await asynchronous.close()
        assert item is not None
        return item.value

    assert asyncio.run(get()) == b"1"


@pytest.mark.parametrize("missing", [("cert", "key"), ("ca_cert",)])
def test_without_a_certificate_or_the_right_authority_nobody_answers(
    tls_etcd, missing: tuple[str, ...]
):
    settings = {name: pem for name, pem in tls_etcd.identity().items() if name not in missing}
    with (
        connect(tls_etcd.config(timeout_s=0.5, **settings)) as backend,
        pytest.raises(UnavailableError, match=r"no answer within 0\.5 s"),
    ):
        backend.get("/a")


@pytest.fixture
def users_etcd(start_member):
    """An etcd in which ``felix`` (password ``secret``) may use /calico/ and nothing else."""
    etcd = start_member()
    for command in (
        "user add root:rootpw",
        "user grant-role root root",
        "user add felix:secret",
        "role add calico",
        "role grant-permission calico readwrite /calico/ /calico0",
        "user grant-role felix calico",
        "auth enable",
    ):
        etcd.etcdctl(*command.split())
    return etcd


FELIX = {"username": "felix", "password": "secret"}


def test_a_user_may_do_what_the_role_says(users_etcd):
    with connect(users_etcd.config(**FELIX)) as backend:
        revision = backend.put("/calico/a", b"1")
        assert len(backend.read("/calico/").items) == 1
        with backend.watch(["/calico/"], revision) as batches:
            assert len(collect(batches, 1)) == 1
        for call in (lambda: backend.put("/other", b"1"), lambda: backend.read("/")):
            with pytest.raises(UnauthorizedError, match="permission denied"):
                call()
        with (
            backend.watch(["/"], revision) as batches,
            pytest.raises(UnauthorizedError, match="permission denied"),
        ):
            next(batches)


@pytest.mark.parametrize("settings", [{}, {"username": "felix", "password": "wrong"}])
def test_a_stranger_is_unauthorized(users_etcd, settings: dict[str, str]):
    with connect(users_etcd.config(**settings)) as backend:
        with pytest.raises(UnauthorizedError, match="check the user name, password"):
            backend.get("/calico/a")
        with (
            backend.watch(["/calico/"], Revision(1)) as batches,
            pytest.raises(UnauthorizedError),
        ):
            next(batches)


def test_a_token_that_the_store_forgot_is_renewed(users_etcd):
    with connect(users_etcd.config(**FELIX)) as backend:
        revision = backend.put("/calico/a", b"1")
        users_etcd.kill()
        users_etcd.start()
        users_etcd.wait_port()
        assert backend.get("/calico/a") is not None
        users_etcd.kill()
        users_etcd.start()
        users_etcd.wait_port()
        with connect(users_etcd.config(**FELIX)) as other:
            other.get("/calico/a")
        with backend.watch(["/calico/"], revision) as batches:
            assert len(collect(batches, 1)) == 1


def test_a_token_is_renewed_for_asyncio_too(users_etcd):
    async def scenario() -> None:
        backend = connect_async(users_etcd.config(**FELIX))
        revision = await backend.put("/calico/a", b"1")
        users_etcd.kill()
        users_etcd.start()
        await asyncio.to_thread(users_etcd.wait_port)
        assert await backend.get("/calico/a") is not None
        async with backend.watch(["/calico/"], revision) as batches:
            assert (await anext(batches)).events
        await backend.close()

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_user_name_where_the_store_knows_no_users_does_no_harm(start_member):
    with connect(start_member().config(**FELIX)) as backend:
        assert backend.put("/a", b"1")
