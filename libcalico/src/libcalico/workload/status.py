"""Waits until Felix says that an endpoint's policy is in force.

Felix writes a file for each endpoint that it has programmed. Its directory is watched by inotify, so
that the wait ends with the event. Source: ``calico-control-plane.md`` 1.2 (name of the file),
``calico-dataplane.md`` 1.11 and 6.3.
"""

from __future__ import annotations

import ctypes
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.names import parse_name

DEFAULT_DIRECTORY: Final = Path("/var/run/calico/endpoint-status")
#: Characters that Go's url.PathEscape leaves as they are.
_PLAIN: Final = "-_.~$&+:=@"
_IN_CLOEXEC, _IN_NONBLOCK = os.O_CLOEXEC, os.O_NONBLOCK
_IN_CLOSE_WRITE, _IN_MOVED_TO = 0x8, 0x80
_EVENTS_BYTES: Final = 64 << 10
#: How often to look when the kernel gives us no inotify instance.
_LOOK_EVERY_S: Final = 0.01


def file_name(endpoint: WorkloadEndpoint) -> str:
    """Return the name of an endpoint's status file: ``<orchestrator> <namespace/workload> <endpoint>``."""
    name = parse_name(endpoint.name)
    parts = (name.orchestrator, f"{endpoint.namespace}/{name.workload}", name.endpoint)
    return " ".join(quote(part, safe=_PLAIN) for part in parts)


def tells(content: bytes, endpoint: WorkloadEndpoint) -> bool:
    """Whether a status file tells about the endpoint as it is now, not as it was before."""
    try:
        status = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    if not isinstance(status, dict):
        return False
    nets = [*(status.get("ipv4Nets") or ()), *(status.get("ipv6Nets") or ())]
    spec = endpoint.spec
    return (
        status.get("ifaceName") == spec.interface_name
        and status.get("mac") in (None, "", spec.mac)
        and sorted(nets) == sorted(spec.ip_networks)
    )


def wait(endpoint: WorkloadEndpoint, directory: Path, timeout_s: float) -> bool:
    """Return whether Felix reported the endpoint before the time was over."""
    path = directory / file_name(endpoint)
    deadline = time.monotonic() + timeout_s
    with _changes(directory) as changes:
        while not _tells(path, endpoint):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            _await_change(changes, left_s)
    return True


def _tells(path: Path, endpoint: WorkloadEndpoint) -> bool:
    try:
        return tells(path.read_bytes(), endpoint)
    except OSError:
        return False


def _await_change(changes: int | None, left_s: float) -> None:
    if changes is None:
        time.sleep(min(left_s, _LOOK_EVERY_S))
        return
    poll = select.poll()
    poll.register(changes, select.POLLIN)
    if poll.poll(left_s * 1000):
        os.read(changes, _EVENTS_BYTES)


@contextmanager
def _changes(directory: Path) -> Iterator[int | None]:
    """Yield a descriptor that is readable when a file of the directory was written; None without inotify."""
    libc: Any = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(_IN_CLOEXEC | _IN_NONBLOCK)
    if fd < 0:
        yield None
        return
    try:
        mask = _IN_CLOSE_WRITE | _IN_MOVED_TO
        watched = libc.inotify_add_watch(fd, os.fsencode(directory), mask) >= 0
        yield fd if watched else None
    finally:
        os.close(fd)
