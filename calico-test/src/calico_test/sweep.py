"""Remove what the harness made: one way for an orderly end, a crash, and ``make demo-down``.

``python -m calico_test.sweep`` removes what crashed test runs left; with names, exactly those, kept labs
included.
"""

import os
import shutil
import sys

from calico_test import netns, processes, records
from calico_test.errors import HarnessError


def remove(record: records.Record) -> None:
    """Remove everything that a record names, then the record.

    Idempotent: what is gone already is passed over, so an interrupted removal can be repeated.
    """
    namespace_ids = frozenset().union(*(anchor.namespace_ids() for anchor in record.anchors))
    own = processes.Process.of(os.getpid()).namespace_ids()
    processes.kill(record.processes)
    # The anchors keep the identity of their namespaces, so they end last.
    processes.kill_members(namespace_ids - own, spare=record.anchors)
    processes.kill(record.anchors)
    for name in record.namespaces:
        netns.remove(name)
    for directory in record.directories:
        shutil.rmtree(directory, ignore_errors=True)
    record.forget()


def orphans() -> list[records.Record]:
    """What ended test runs have left behind."""
    return [record for record in records.load_all() if record.is_orphan]


def sweep() -> list[str]:
    """Remove what ended test runs have left behind, and return the names of it; kept labs stay."""
    found = orphans()
    for record in found:
        remove(record)
    return [record.name for record in found]


def remove_named(name: str) -> None:
    """Remove what is kept, or was left behind, under a name.

    Raises:
        HarnessError: there is nothing of that name, or the process that made it still works with it.
    """
    record = records.load(name)
    if record.owner is not None and record.owner.is_alive:
        raise HarnessError(f"{name}: process {record.owner.pid} still works with it")
    remove(record)


def main() -> None:
    """Sweep, or remove what the arguments name."""
    names = sys.argv[1:]
    try:
        for name in names:
            remove_named(name)
    except HarnessError as error:
        sys.exit(str(error))
    for name in names or sweep():
        print(f"removed {name}")


if __name__ == "__main__":
    main()
