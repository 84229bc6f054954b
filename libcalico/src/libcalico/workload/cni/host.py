"""What a call needs to know of this host: its name in Calico, and the MTU for workloads.

Source: ``calico-dataplane.md`` 6.1, ``calico-control-plane.md`` 10.1.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from libcalico.workload.cni.errors import INVALID_CONFIGURATION, TRY_AGAIN_LATER, CniError
from libcalico.workload.cni.model import NetConf
from libcalico.workload.model import DEFAULT_MTU

_LEAST_MTU: Final = 68
_MOST_MTU: Final = 65535


def node_name(conf: NetConf) -> str:
    """Return the node's name: ``nodename``, the file that calico-node wrote, ``hostname``, the host's.

    Raises:
        CniError: the file is missing and not optional.
    """
    name = conf.nodename or _from_file(conf) or conf.hostname or os.uname().nodename
    return name.strip().lower()


def _from_file(conf: NetConf) -> str:
    try:
        return Path(conf.nodename_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        if conf.nodename_file_optional or conf.hostname:
            return ""
        raise CniError(
            INVALID_CONFIGURATION,
            f"the name of this node is unknown: {conf.nodename_file} cannot be read: {problem}",
            "check that calico-node has started on this host, or set nodename",
        ) from problem


def mtu(conf: NetConf) -> int:
    """Return the MTU for workloads: ``mtu``, the file that Felix writes beside the node's name, 1500.

    Raises:
        CniError: there is no usable file, and there must be one (``require_mtu_file``).
    """
    if conf.mtu:
        return conf.mtu
    file = Path(conf.nodename_file).with_name("mtu")
    if (found := _mtu_in(file)) is not None:
        return found
    if conf.require_mtu_file:
        raise CniError(
            TRY_AGAIN_LATER,
            f"the MTU of this host is unknown: {file} is missing, or holds no MTU",
            "check that Felix has started on this host, or set mtu",
        )
    return DEFAULT_MTU


def _mtu_in(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() and _LEAST_MTU <= int(text) <= _MOST_MTU else None
