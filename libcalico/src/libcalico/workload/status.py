"""Waits until Felix says that an endpoint's policy is in force.

Felix writes a file for each endpoint that it has programmed. Its directory is watched by inotify, so
that the wait ends with the event. Source: ``calico-control-plane.md`` 1.2 (name of the file),
``calico-dataplane.md`` 1.11 and 6.3.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from libcalico import inotify
from libcalico.inotify import Inotify
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.names import parse_name

DEFAULT_DIRECTORY: Final = Path("/var/run/calico/endpoint-status")
#: Characters that Go's url.PathEscape leaves as they are.
_PLAIN: Final = "-_.~$&+:=@"
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
        try:
            self._inotify = Inotify(is_blocking=True)
        except OSError:
            return
        try:
            self._inotify.watch(directory, inotify.CLOSE_WRITE | inotify.MOVED_TO)
        except OSError:
            self._inotify.close()
            return
        self.is_alive = True
        threading.Thread(target=self._read, name="endpoint-status", daemon=True).start()

    def _read(self) -> None:
        while self.is_alive:
            events = self._inotify.read()
            with self.changed:
                # The kernel says so when the directory itself is gone; who asks next watches anew.
                self.is_alive = not any(event.mask & inotify.IGNORED for event in events)
                self.changed.notify_all()
        self._inotify.close()


_watches: dict[Path, _Watch] = {}
_watches_lock = threading.Lock()


def _watch(directory: Path) -> _Watch:
    """Return the watch of a directory; a dead one (no inotify, or no directory) is tried again."""
    with _watches_lock:
        watch = _watches.get(directory)
        if watch is None or not watch.is_alive:
            watch = _watches[directory] = _Watch(directory)
        return watch
