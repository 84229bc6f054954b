"""What the plugin must know of this host: its name in Calico, and the MTU for containers.

Source: ``calico-control-plane.md`` 7 and 10.1, ``calico-dataplane.md`` 6.1.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from libcalico.workload.model import DEFAULT_MTU

#: Where calico-node writes the name that it uses (``nodename``) and Felix the MTU (``mtu``).
DIRECTORY: Final = Path("/var/lib/calico")
_LEAST_MTU, _MOST_MTU = 68, 65535


def node_name(environ: Mapping[str, str], directory: Path = DIRECTORY) -> str:
    """Return the host's name: ``NODENAME``, else what calico-node wrote, else the hostname."""
    name = environ.get("NODENAME") or _read(directory / "nodename") or os.uname().nodename
    return name.strip().lower()


def mtu(directory: Path = DIRECTORY) -> int:
    """Return the MTU that Felix found, else 1500."""
    text = _read(directory / "mtu")
    if text.isdecimal() and _LEAST_MTU <= int(text) <= _MOST_MTU:
        return int(text)
    return DEFAULT_MTU


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
