"""``python -m calico_docs``: builds and checks the documentation."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from calico_docs import site


def main() -> int:
    """Do what the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m calico_docs", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="root of the tree")
    parser.add_argument(
        "step", choices=["build", "check"], help="build into build/site, or only check"
    )
    options = parser.parse_args()
    root = options.root.resolve()
    try:
        files, marked = site.check_links(root), site.check_marks(root)
        if options.step == "build":
            site.build(root, root / "build" / "site")
            print(f"built {root / 'build' / 'site' / 'index.html'}")
        else:
            with TemporaryDirectory(prefix="calico-docs-") as out:
                site.build(root, Path(out))
    except site.SiteError as error:
        print(f"docs: {error}", file=sys.stderr)
        return 1
    print(f"docs: {files} files and {marked} blocks are in order")
    return 0


if __name__ == "__main__":
    sys.exit(main())
