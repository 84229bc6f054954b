"""The file that tells plugins how large packets of workloads can be.

Source: calico-dataplane reference, sections 3.9 and 6.1.
"""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)


class MtuFile:
    """A file with one number. What cannot be written is tried again with the next call of :meth:`write`.

    Attributes:
        problem: why the file does not tell the truth; empty if it does.
    """

    def __init__(self, path: Path) -> None:
        self.problem = ""
        self._path = path
        self._written = 0

    def write(self, mtu: int) -> None:
        """Tell the MTU of workloads' interfaces, in bytes."""
        if mtu == self._written:
            return
        try:
            self._replace(f"{mtu}\n")
        except OSError as error:
            problem = f"cannot write {self._path}: {error.strerror}"
            if problem != self.problem:
                log.warning("plugins do not learn the MTU problem=%s", problem)
            self.problem = problem
        else:
            log.info("MTU of workloads' interfaces mtu=%s file=%s", mtu, self._path)
            self.problem, self._written = "", mtu

    def doubt(self) -> None:
        """Write it anew the next time: somebody may have changed it."""
        self._written = 0

    def _replace(self, text: str) -> None:
        """Write in place of what there is, so that a reader never sees half a number."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_name(f".{self._path.name}")
        unfinished.write_text(text, encoding="ascii")
        unfinished.replace(self._path)
