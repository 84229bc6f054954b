"""Keeps the table ``inet calico`` as the program wants it. Synchronous: a commit ends when the kernel has it.

The first commit makes whatever table a previous run left the desired one; until then that table stays in
force. What others change is put right as soon as the kernel tells.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from calico_node.felix import metrics
from calico_node.felix.dataplane.commit import Committer
from calico_node.felix.messages import Changes
from calico_node.felix.nft.apply import Nftables
from calico_node.felix.nft.model import Table
from calico_node.felix.nft.monitor import Commit, Monitor
from calico_node.felix.program import names
from calico_node.felix.program.pending import TableSizes
from calico_node.felix.program.program import Program, Subject
from calico_node.felix.program.settings import RuleSettings
from libcalico.errors import OverrunError

log = logging.getLogger(__name__)


class Enforcer:
    """Policy in the kernel of the network namespace in which this was made."""

    def __init__(self, settings: RuleSettings) -> None:
        self._program = Program(settings)
        self._nftables = Nftables()
        try:
            self._monitor = Monitor(names.TABLE, [self._nftables.port])
        except BaseException:
            self._nftables.close()
            raise
        self._committer = Committer(self._program, self._nftables)
        self._settings = settings
        self._unexplained: int | None = None

    def close(self) -> None:
        """Close the sockets. What was programmed stays in force."""
        self._monitor.close()
        self._nftables.close()

    @property
    def is_in_sync(self) -> bool:
        """Whether the kernel has what the program wants."""
        return self._committer.is_programmed

    def sizes(self) -> TableSizes:
        """Return how much is in the table."""
        return self._program.sizes()

    @property
    def port(self) -> int:
        """The kernel's number of the socket that commits."""
        return self._nftables.port

    @property
    def refused(self) -> Mapping[Subject, str]:
        """Policies that deny because the kernel refused their rules: subject → reason."""
        return self._committer.refused

    def table(self) -> Table:
        """Return the table that the kernel should have."""
        return self._program.table()

    @property
    def monitor(self) -> Monitor:
        """Readable when somebody changed a table; then call :meth:`repair`."""
        return self._monitor

    def apply(self, changes: Changes) -> None:
        """Program changes, in one transaction.

        Raises:
            NetlinkError: the kernel did not take them; call :meth:`retry` later.
        """
        self._committer.commit(self._program.apply(changes))

    def reconfigure(self, settings: RuleSettings) -> None:
        """Program the same policy for another configuration. Raises as :meth:`apply`."""
        if settings != self._settings:
            self._settings = settings
            self._committer.commit(self._program.reconfigure(settings))

    def start(self) -> None:
        """Make whatever table there is the desired one. Raises as :meth:`apply`."""
        self._committer.replace()

    def retry(self) -> None:
        """Program everything again, if the last attempt failed. Raises as :meth:`apply`."""
        if not self.is_in_sync:
            self._committer.replace()

    def repair(self) -> list[Commit]:
        """Put right what others changed since the last call, and return it.

        Raises:
            NetlinkError: as :meth:`apply`.
        """
        try:
            commits = self._monitor.read()
        except OverrunError:
            log.warning("lost notifications of nftables; programming everything again")
            commits = []
            self._unexplained = None
            self._committer.doubt()
        for commit in commits:
            generation = commit.generation
            log.warning(
                "somebody changed our table; putting it right process=%s pid=%s changes=%s",
                generation.process,
                generation.process_id,
                len(commit.changes),
            )
            self._committer.doubt()
        if not self.is_in_sync:
            self._repair_all()
        return commits

    def audit(self) -> None:
        """Program everything again if somebody made a commit that no notification told of.

        The kernel numbers commits; each is one of ours or was told of. Raises as :meth:`apply`.
        """
        number = self._nftables.generation()
        self.repair()
        if self._nftables.generation() != number:
            return  # others commit right now; there will be another audit
        unexplained = number - self._nftables.commits - self._monitor.commits
        known, self._unexplained = self._unexplained, unexplained
        if known is not None and unexplained != known:
            log.warning("a commit was not told of; programming everything again")
            self._repair_all()

    def _repair_all(self) -> None:
        metrics.REPAIRS.labels("nftables").inc()
        self._committer.replace()
