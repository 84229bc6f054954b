"""What a call needs to know of this host: its name in Calico, and the MTU for workloads.

Source: ``calico-dataplane.md`` 6.1, ``calico-control-plane.md`` 10.1.
"""

from __future__ import annotations

import os
from pathlib import Path

from libcalico.workload.cni.errors import INVALID_CONFIGURATION, CniError
from libcalico.workload.cni.model import NetConf
from libcalico.workload.model import DEFAULT_MTU


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
    """Return the MTU for workloads: ``mtu``, the file that Felix writes beside the node's name, 1500."""
    if conf.mtu:
        return conf.mtu
    try:
        text = Path(conf.nodename_file).with_name("mtu").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return DEFAULT_MTU
    return int(text) if text.isdigit() and 68 <= int(text) <= 65535 else DEFAULT_MTU
