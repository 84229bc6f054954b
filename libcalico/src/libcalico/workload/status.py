"""Waits until Felix says that an endpoint's policy is in force.

Felix writes a file for each endpoint that it has programmed. Its directory is watched by inotify, so
that the wait ends with the event. Source: ``calico-control-plane.md`` 1.2 (name of the file),
``calico-dataplane.md`` 1.11 and 6.3.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.names import parse_name

DEFAULT_DIRECTORY: Final = Path("/var/run/calico/endpoint-status")
#: Characters that Go's url.PathEscape leaves as they are.
_PLAIN: Final = "-_.~$&+:=@"
# Source: linux/inotify.h.
_IN_CLOSE_WRITE, _IN_MOVED_TO, _IN_IGNORED = 0x8, 0x80, 0x8000
_EVENT: Final = struct.Struct("=iIII")  # watch, mask, cookie, bytes of the name that follows
_EVENTS_BYTES: Final = 64 << 10
#: How often to look when the kernel gives us no inotify instance.
_LOOK_EVERY_S: Final = 0.01


def file_name(namespace: str, endpoint_name: str) -> str:
    """Return the name of an endpoint's status file: ``<orchestrator> <namespace/workload> <endpoint>``.

    Raises:
        ValidationError: the endpoint's name has not the usual form.
    """
    name = parse_name(endpoint_name)
    parts = (name.orchestrator, f"{namespace}/{name.workload}", name.endpoint)
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
    path = directory / file_name(endpoint.namespace, endpoint.name)
    deadline = time.monotonic() + timeout_s
    watch = _watch(directory)
    with watch.changed:
        while not _tells(path, endpoint):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            watch.changed.wait(left_s if watch.is_alive else min(left_s, _LOOK_EVERY_S))
    return True


def _tells(path: Path, endpoint: WorkloadEndpoint) -> bool:
    try:
        return tells(path.read_bytes(), endpoint)
    except OSError:
        return False


class _Watch:
    """Wakes all who wait on ``changed`` when a file of the directory was written.

    One for each directory, for the life of the process: closing an inotify instance takes the kernel
    ten milliseconds, more than all the rest of attaching a workload.
    """

    def __init__(self, directory: Path) -> None:
        self.changed = threading.Condition()
        self.is_alive = False
        self._directory = directory
        libc: Any = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_CLOEXEC)
        if self._fd < 0:
            return
        mask = _IN_CLOSE_WRITE | _IN_MOVED_TO
        if libc.inotify_add_watch(self._fd, os.fsencode(directory), mask) < 0:
            os.close(self._fd)
            return
        self.is_alive = True
        threading.Thread(target=self._read, name="endpoint-status", daemon=True).start()

    def _read(self) -> None:
        while self.is_alive:
            events = os.read(self._fd, _EVENTS_BYTES)
            with self.changed:
                # The kernel says so when the directory itself is gone; who asks next watches anew.
                self.is_alive = not any(mask & _IN_IGNORED for mask in _masks(events))
                self.changed.notify_all()
        os.close(self._fd)


def _masks(events: bytes) -> Iterator[int]:
    offset = 0
    while offset < len(events):
        _, mask, _, name_bytes = _EVENT.unpack_from(events, offset)
        yield mask
        offset += _EVENT.size + name_bytes


_watches: dict[Path, _Watch] = {}
_watches_lock = threading.Lock()


def _watch(directory: Path) -> _Watch:
    """Return the watch of a directory; a dead one (no inotify, or no directory) is tried again."""
    with _watches_lock:
        watch = _watches.get(directory)
        if watch is None or not watch.is_alive:
            watch = _watches[directory] = _Watch(directory)
        return watch
