"""Keeps the table ``inet calico`` as the program wants it. Synchronous: a commit ends when the kernel has it.

The first commit replaces whatever table a previous run left, in one transaction; until then that
table stays in force. After any failure nothing is believed of the kernel, and the next commit
replaces the table again. A policy that the kernel refuses denies instead, and the rest is programmed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from calico_node.felix import metrics
from calico_node.felix.messages import Changes
from calico_node.felix.nft.apply import Nftables, RefusedError
from calico_node.felix.nft.model import Table
from calico_node.felix.nft.monitor import Commit, Monitor
from calico_node.felix.nft.plan import Delta, plan, replace_table
from calico_node.felix.program import names
from calico_node.felix.program.program import Program, Subject
from calico_node.felix.program.settings import RuleSettings
from libcalico.errors import NetlinkError, OverrunError

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
        self._is_programmed = False
        self._settings = settings
        self._blamed: set[str] = set()

    def close(self) -> None:
        """Close the sockets. What was programmed stays in force."""
        self._monitor.close()
        self._nftables.close()

    @property
    def is_in_sync(self) -> bool:
        """Whether the kernel has what the program wants."""
        return self._is_programmed

    @property
    def port(self) -> int:
        """The kernel's number of the socket that commits."""
        return self._nftables.port

    @property
    def refused(self) -> Mapping[Subject, str]:
        """Policies that deny because the kernel refused their rules: subject → reason."""
        return self._program.refused

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
        self._commit(self._program.apply(changes))

    def reconfigure(self, settings: RuleSettings) -> None:
        """Program the same policy for another configuration. Raises as :meth:`apply`."""
        if settings != self._settings:
            self._settings = settings
            self._commit(self._program.reconfigure(settings))

    def start(self) -> None:
        """Replace whatever table there is. Raises as :meth:`apply`."""
        self._replace()

    def retry(self) -> None:
        """Program everything again, if the last attempt failed. Raises as :meth:`apply`."""
        if not self._is_programmed:
            self._replace()

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
            self._is_programmed = False
        for commit in commits:
            generation = commit.generation
            log.warning(
                "somebody changed our table; putting it right process=%s pid=%s changes=%s",
                generation.process,
                generation.process_id,
                len(commit.changes),
            )
            self._is_programmed = False
        if not self._is_programmed:
            metrics.REPAIRS.labels("nftables").inc()
            self._replace()
        return commits

    def _commit(self, delta: Delta) -> None:
        if not self._is_programmed:
            self._replace()
            return
        try:
            self._nftables.commit(plan(names.TABLE, delta))
        except RefusedError as error:
            log.warning("a change was refused, programming everything again error=%s", error)
            self._replace()
        except NetlinkError:
            self._is_programmed = False
            raise

    def _replace(self) -> None:
        """Replace the table, without the rules of policies that the kernel refuses."""
        self._is_programmed = False
        self._blamed = set()
        while True:
            try:
                self._nftables.commit(replace_table(self._program.take_table()))
            except RefusedError as error:
                if not self._blame(error):
                    raise
                continue
            self._is_programmed = True
            return

    def _blame(self, error: RefusedError) -> bool:
        """Make the policy deny whose rule was refused; return whether there is one.

        Only the first refusal counts: it may be the cause of the others.
        """
        refusal = error.refusals[0]
        reason = refusal.reason or os.strerror(refusal.errno)
        is_known = refusal.owner in self._blamed
        if is_known or not self._program.refuse(refusal.owner, reason):
            return False
        self._blamed.add(refusal.owner)
        log.error("kernel refused rules, denying owner=%s reason=%s", refusal.owner, reason)
        metrics.REFUSED.set(len(self._program.refused))
        return True
