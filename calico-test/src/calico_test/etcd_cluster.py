"""Real etcd members that replicate each other, each to be paused, killed and restarted as a test wants."""

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from calico_test import processes, records
from calico_test.errors import DeadlineError, HarnessError
from calico_test.etcd import Etcd


class Member(Etcd):
    """One member of a cluster; serves once most members run."""

    def __init__(self, record: records.Record) -> None:
        self._prepare(("127.0.0.1",), None, None, record)
        self.port, self._peer_port = self._choose_ports()
        self._peers: Mapping[str, str] = {}

    def launch(self, peers: Mapping[str, str]) -> None:
        """Start it among its peers: name → peer URL, itself included."""
        self._peers = peers
        self._launch()

    def wait_serving(self, deadline_s: float) -> None:
        """Wait until it knows a leader."""
        self._wait_serving(deadline_s)

    @property
    def leads(self) -> bool:
        """Whether it is the leader, as it says itself."""
        status = self.call("/v3/maintenance/status", {})
        return bool(status.get("leader") == status["header"]["member_id"])

    def _argv(self) -> list[str]:
        peers = ",".join(f"{name}={url}" for name, url in self._peers.items())
        # An election takes a second, as in real clusters.
        slow = ["--heartbeat-interval=100", "--election-timeout=1000"]
        return [*self._own_argv(peers), *slow]

    def _is_serving(self, timeout_s: float) -> bool:
        status = self.call("/v3/maintenance/status", {}, timeout_s=timeout_s)
        return bool(status.get("leader", "0") != "0")


class EtcdCluster:
    """Members that have elected a leader, until ``stop``.

    Attributes:
        members: in the order in which they were started.
    """

    def __init__(self, size: int = 3, *, deadline_s: float = 30.0) -> None:
        self._record = records.Record(name=records.unique_name("etcd"))
        self._cleanup = ExitStack()
        self._cleanup.callback(self._record.forget)
        try:
            self.members = [self._add() for _ in range(size)]
            peers = {member.name: member.peer_url for member in self.members}
            for member in self.members:
                member.launch(peers)
            for member in self.members:
                member.wait_serving(deadline_s)
        except BaseException:
            self.stop()
            raise

    def _add(self) -> Member:
        member = Member(self._record)
        self._cleanup.callback(member.stop)
        return member

    @property
    def endpoints(self) -> str:
        """URLs for clients, with commas between them."""
        return ",".join(member.endpoint for member in self.members)

    def leader(self, *, deadline_s: float = 30.0) -> Member:
        """Wait until one of the members leads, and return it."""
        for _ in processes.ticks(deadline_s):
            for member in self.members:
                with suppress(HarnessError):  # it is dead, or frozen
                    if member.leads:
                        return member
        raise DeadlineError(f"no leader after {deadline_s} s")

    def stop(self) -> None:
        """Kill the members and remove their data."""
        self._cleanup.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
