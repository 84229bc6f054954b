"""Kernel settings that stay as they were made, whoever changes them.

A few are announced by the kernel, so that whoever changed them, they are back at once. The others are heard
of when they are written through the same mount of /proc as ours; what is changed in another way is found by
the next audit.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Mapping

from calico_node.felix import metrics
from libcalico import logs
from libcalico.errors import NetlinkError, OverrunError
from libcalico.netlink import monitor, sysctl
from libcalico.netlink.sysctl import Changed
from libcalico.netlink.sysctlwatch import SysctlWatch

log = logging.getLogger(__name__)
repeated = logs.RateLimited(log)


class Sysctls:
    """Settings of the network namespace in which this was made, by interface."""

    def __init__(self) -> None:
        """Open the sockets.

        Raises:
            NetlinkError: they cannot be opened.
        """
        self._kept: dict[str, tuple[int, Mapping[str, int]]] = {}
        self._names: dict[int, str] = {}
        self._wanted: dict[str, int] = {}
        self._announced = monitor.Monitor(monitor.SETTINGS)
        self._written = _watch()

    def close(self) -> None:
        """Close what is open. Settings stay."""
        if self._written is not None:
            self._written.close()
        self._announced.close()

    @property
    def watched(self) -> tuple[int, ...]:
        """File descriptors, readable when settings may have changed; then call :meth:`repair`."""
        found = (self._announced, self._written)
        return tuple(source.fileno() for source in found if source is not None)

    def keep(self, interface: str, link: int, settings: Mapping[str, int]) -> dict[str, Changed]:
        """Make settings of an interface, and keep them so in place of those that were to be kept before.

        Args:
            interface: name; "all" for those of all interfaces.
            link: its index, :data:`~libcalico.netlink.netconf.ALL_LINKS` for all.
            settings: key → value.

        Returns:
            Key → what was changed.

        Raises:
            NetlinkError: one cannot be made; then none of them is kept.
        """
        if self._kept.get(interface) != (link, settings):
            self.drop(interface)
        self._kept[interface], self._names[link] = (link, settings), interface
        self._wanted |= settings
        try:
            self._follow(settings)
            return sysctl.apply(settings)
        except BaseException:
            self.drop(interface)
            raise

    def drop(self, interface: str) -> None:
        """Keep the settings of an interface no more."""
        link, settings = self._kept.pop(interface, (0, {}))
        if self._names.get(link) == interface:  # it may be called otherwise by now
            del self._names[link]
        for key in settings:
            del self._wanted[key]
        if self._written is not None:
            self._written.forget(settings)

    def repair(self) -> None:
        """Put right what somebody changed, and count it."""
        try:
            keys = self._changed()
        except OverrunError:
            log.warning("lost notifications of settings; looking at all of them")
            keys = set(self._wanted)
        for key in keys & self._wanted.keys():
            self._restore(key, self._wanted[key])

    def _changed(self) -> set[str]:
        found = {
            sysctl.interface_key(event.settings.version, interface, name)
            for event in self._announced.read()
            if isinstance(event, monitor.SettingsEvent)
            and (interface := self._names.get(event.settings.link))
            for name in event.settings.values
        }
        return found | (self._written.read() if self._written is not None else set())

    def _restore(self, key: str, value: int) -> None:
        try:
            changed = sysctl.write(key, value)
        except NetlinkError as error:
            if error.errno != errno.ENOENT:  # its interface has gone meanwhile
                metrics.FAILURES.inc()
                repeated.log(logging.ERROR, key, "cannot repair a setting error=%s", error)
            return
        if changed is not None:
            repeated.log(logging.WARNING, key, "a setting was changed key=%s is=%s", key, changed)
            metrics.REPAIRS.labels("sysctls").inc()

    def _follow(self, keys: Iterable[str]) -> None:
        if self._written is None:
            return
        try:
            self._written.follow(keys)
        except NetlinkError as error:
            if error.errno == errno.ENOENT:
                raise
            repeated.log(logging.WARNING, "", "changes may stay until an audit error=%s", error)


def _watch() -> SysctlWatch | None:
    try:
        return SysctlWatch()
    except NetlinkError as error:
        log.warning("changed settings stay until an audit error=%s", error)
        return None
