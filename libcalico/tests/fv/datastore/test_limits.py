"""What etcd takes in one transaction, and that the past is told by it as by the store in memory."""

import pytest

from libcalico.datastore.config import connect
from libcalico.datastore.model import Put, Revision
from libcalico.datastore.past import Version, history
from libcalico.errors import TooLargeError


@pytest.fixture
def backend(etcd):
    with connect(etcd.config()) as backend:
        yield backend


@pytest.mark.parametrize(
    "writes",
    [
        [Put(f"/limits/{number}", b"") for number in range(129)],
        [Put(f"/limits/{number}", b"x" * 400_000) for number in range(4)],
        [Put("/limits/huge", b"x" * 5_000_000)],
    ],
    ids=["keys", "bytes", "message"],
)
def test_a_transaction_that_is_too_large_writes_nothing(backend, writes):
    with pytest.raises(TooLargeError):
        backend.transact(writes)
    assert backend.read("/limits/").items == ()


def test_history_on_etcd(backend, etcd):
    backend.put("/history/a", b"0")
    compacted = backend.put("/history/a", b"1")
    etcd.compact(compacted)
    second = backend.put("/history/a", b"2")
    backend.delete("/history/a")
    backend.put("/history/b", b"1")
    third = backend.put("/history/a", b"3")
    found = history(backend, "/history/a")
    assert found.compacted == compacted
    assert found.versions == (
        Version(compacted, b"1"),
        Version(second, b"2"),
        Version(Revision(second + 1), None),
        Version(third, b"3"),
    )
    backend.delete("/history/a")
    assert history(backend, "/history/a").versions[-1].value is None
