"""The program's table into the kernel: what changed in one commit, or, after any failure, everything.

After a failure, and at the start, nothing is believed of the kernel: what is there is looked at, and the
table is made what it should be, so that no packet is lost; where that cannot be, the table is replaced as
a whole. A policy whose rules the kernel refuses denies instead, and the rest is programmed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from calico_node.felix import metrics
from calico_node.felix.nft.apply import RefusedError
from calico_node.felix.nft.model import Table
from calico_node.felix.nft.operations import Operation
from calico_node.felix.nft.plan import Delta, replace_table
from calico_node.felix.nft.rebuild import Skeleton, rebuild
from calico_node.felix.nft.stages import stages
from calico_node.felix.program import names
from calico_node.felix.program.program import Program, Subject
from libcalico.errors import NetlinkError

log = logging.getLogger(__name__)


class Kernel(Protocol):
    """What takes batches of operations, each as a whole, and tells what there is."""

    def commit(self, operations: Sequence[Operation]) -> None:
        """Do all operations at once.

        Raises:
            RefusedError: one could not be done; nothing was changed.
            NetlinkError: whether anything was changed is not known.
        """
        ...

    def skeleton(self, table: str) -> Skeleton | None:
        """Return what there is of a table, if there is one.

        Raises:
            NetlinkError: it could not be read.
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
            for batch in stages(names.TABLE, delta):
                self._kernel.commit(batch)
        except RefusedError as error:
            log.warning("a change was refused, programming everything again error=%s", error)
            self.replace()
        except NetlinkError:
            self._is_programmed = False
            raise
        metrics.REFUSED.set(len(self._program.refused))

    def replace(self) -> None:
        """Program the whole table, without the rules of policies that the kernel refuses.

        Raises:
            NetlinkError: as :meth:`commit`.
        """
        self._is_programmed = False
        self._blamed = set()
        while True:
            try:
                self._program_all(self._program.take_table())
            except RefusedError as error:
                if not self._blame(error):
                    raise
                continue
            self._is_programmed = True
            metrics.REFUSED.set(len(self._program.refused))
            return

    def _program_all(self, table: Table) -> None:
        """Rebuild what is there; if that cannot be, or does not help, replace it."""
        if not self._rebuild(table):
            self._kernel.commit(replace_table(table))

    def _rebuild(self, table: Table) -> bool:
        """Make the table that is there the desired one; return whether it is now."""
        try:
            found = self._kernel.skeleton(table.name)
            batches = None if found is None else rebuild(found, table)
            for batch in batches or ():
                self._kernel.commit(batch)
            return bool(batches) and self._has_maps(table)
        except NetlinkError as error:
            log.info("the table cannot be rebuilt, replacing it error=%s", error)
            return False

    def _has_maps(self, table: Table) -> bool:
        """Tell whether the elements of all maps are there: a map in growth was not read whole."""
        found = self._kernel.skeleton(table.name)
        wanted = {name: map_.elements for name, map_ in table.maps.items()}
        return found is not None and wanted == {n: m.elements for n, m in found.maps.items()}

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
