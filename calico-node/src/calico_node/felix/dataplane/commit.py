"""The program's table into the kernel: what changed in one commit, or, after any failure, everything.

After a failure nothing is believed of the kernel, and the table is replaced as a whole, in one
transaction, too. A policy whose rules the kernel refuses denies instead, and the rest is programmed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from calico_node.felix import metrics
from calico_node.felix.nft.apply import RefusedError
from calico_node.felix.nft.operations import Operation
from calico_node.felix.nft.plan import Delta, plan, replace_table
from calico_node.felix.program import names
from calico_node.felix.program.program import Program, Subject
from libcalico.errors import NetlinkError

log = logging.getLogger(__name__)


class Kernel(Protocol):
    """What takes batches of operations, each as a whole."""

    def commit(self, operations: Sequence[Operation]) -> None:
        """Do all operations at once.

        Raises:
            RefusedError: one could not be done; nothing was changed.
            NetlinkError: whether anything was changed is not known.
        """
        ...


class Committer:
    """Commits what a program changes.

    Args:
        program: that holds the desired table.
        kernel: that shall have it.
    """

    def __init__(self, program: Program, kernel: Kernel) -> None:
        self._program = program
        self._kernel = kernel
        self._is_programmed = False
        self._blamed: set[str] = set()

    @property
    def is_programmed(self) -> bool:
        """Whether the kernel has what the program wants."""
        return self._is_programmed

    @property
    def refused(self) -> Mapping[Subject, str]:
        """Policies that deny because the kernel refused their rules: subject → reason."""
        return self._program.refused

    def doubt(self) -> None:
        """Somebody else may have changed the table; it is not known what the kernel has."""
        self._is_programmed = False

    def commit(self, delta: Delta) -> None:
        """Let the kernel have what changed in the program's table since the last commit.

        Raises:
            NetlinkError: the kernel did not take it; :meth:`replace` later.
        """
        if not self._is_programmed:
            self.replace()
            return
        try:
            self._kernel.commit(plan(names.TABLE, delta))
        except RefusedError as error:
            log.warning("a change was refused, programming everything again error=%s", error)
            self.replace()
        except NetlinkError:
            self._is_programmed = False
            raise
        metrics.REFUSED.set(len(self._program.refused))

    def replace(self) -> None:
        """Replace the table, without the rules of policies that the kernel refuses.

        Raises:
            NetlinkError: as :meth:`commit`.
        """
        self._is_programmed = False
        self._blamed = set()
        while True:
            try:
                self._kernel.commit(replace_table(self._program.take_table()))
            except RefusedError as error:
                if not self._blame(error):
                    raise
                continue
            self._is_programmed = True
            metrics.REFUSED.set(len(self._program.refused))
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
        return True
