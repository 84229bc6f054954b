"""Measure; see ``python -m bench --help``."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from bench import curves
from bench.measure import Report

SUBJECTS = (
    "labels",
    "startup",
    "client",
    "ipam",
    "felix",
    "repair",
    "scale",
    "packets",
    "answers",
    "cni",
)


def main() -> int:
    """Run the subjects asked for and write the results."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "subjects", nargs="*", choices=[*SUBJECTS, []], help="what to measure (all)"
    )
    options = parser.parse_args()
    report = Report()
    for subject in options.subjects or SUBJECTS:
        importlib.import_module(f"bench.{subject}").run(report)
    path = Path("build") / "bench.json"
    report.write(path)
    pictures = curves.draw(report.results, path.parent)
    print(f"written to {', '.join(map(str, [path, *pictures]))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
