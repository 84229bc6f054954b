"""Which packages a change touches: those with changed files, and all that need them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from calico_release.packages import Package


def affected(paths: Iterable[str], packages: Mapping[str, Package]) -> set[str]:
    """Return the names of the packages that a change of these paths touches.

    Args:
        paths: changed files, relative to the root of the tree, with ``/``.
        packages: distribution name → package.

    A path outside every package (the Makefile, shared configuration) touches all of them.
    """
    by_folder = {package.folder: name for name, package in packages.items()}
    touched: set[str] = set()
    for path in paths:
        folder, slash, _ = path.partition("/")
        if not slash or folder not in by_folder:
            return set(packages)
        touched.add(by_folder[folder])
    return _with_dependents(touched, packages)


def _with_dependents(touched: set[str], packages: Mapping[str, Package]) -> set[str]:
    grown = touched | {name for name, package in packages.items() if package.needs & touched}
    return grown if grown == touched else _with_dependents(grown, packages)
