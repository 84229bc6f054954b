"""Writes to the datastore that Felix lives, and the state of its endpoints. What fails is tried again.

Both are off as the configuration of a new cluster has it. Nothing is told before policy is in force, and
a Felix that hangs tells nothing, so that its lease ends.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from calico_node.felix.agent import Felix
from calico_node.felix.reporting import plan
from libcalico import logs
from libcalico.datastore.backend import AsyncBackend
from libcalico.datastore.model import Write
from libcalico.errors import CalicoError

log = logging.getLogger(__name__)
repeated = logs.RateLimited(log)

_RETRY_S: Final = 1.0
_RESYNC_DELAYS: Final = 180  # times the delay between two full comparisons, as in Go Felix
_WRITES_AT_ONCE: Final = 100  # etcd takes 128 in a transaction


async def report_life(felix: Felix, backend: AsyncBackend) -> None:
    """Tell in the configured interval that Felix lives, until cancelled."""
    began, is_first = time.monotonic(), True
    while True:
        interval_s, pause_s = felix.config["ReportingIntervalSecs"], _RETRY_S
        if not interval_s:
            await felix.reconfigured.wait()
            continue
        try:
            if felix.states is not None and felix.is_live:
                await backend.transact(_life(felix, time.monotonic() - began, is_first=is_first))
                is_first, pause_s = False, interval_s
        except CalicoError as error:
            repeated.warning("", "cannot report status, trying again error=%s", error)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await felix.reconfigured.wait()


def _life(felix: Felix, uptime_s: float, *, is_first: bool) -> list[Write]:
    return plan.alive(
        felix.hostname,
        plan.region_of(felix.config["OpenstackRegion"]),
        now_s=time.time(),
        uptime_s=uptime_s,
        is_first=is_first,
        ttl_s=max(1, math.ceil(felix.config["ReportingTTLSecs"])),
    )


async def report_endpoints(felix: Felix, backend: AsyncBackend) -> None:
    """Keep the states of endpoints as they are in the datastore, until cancelled."""
    reporter = EndpointReporter(felix, backend)
    while True:
        changed, delay_s = felix.changed, felix.config["EndpointReportingDelaySecs"]
        try:
            await reporter.bring_up_to_date()
            pause_s = max(delay_s, _RETRY_S) * _RESYNC_DELAYS
        except CalicoError as error:
            repeated.warning("", "cannot report endpoints, trying again error=%s", error)
            pause_s = _RETRY_S
        try:
            async with asyncio.timeout(pause_s):
                await changed.wait()
        except TimeoutError:
            reporter.forget()
        await asyncio.sleep(delay_s)


class EndpointReporter:
    """The states as they are in the datastore, as far as that is known."""

    def __init__(self, felix: Felix, backend: AsyncBackend) -> None:
        self._felix = felix
        self._backend = backend
        self._stored: dict[str, bytes] | None = None
        self._has_reported = False

    def forget(self) -> None:
        """Read the datastore before the next comparison: somebody may have changed it."""
        self._stored = None

    async def bring_up_to_date(self) -> None:
        """Write what differs; once reporting is turned off remove what was reported.

        Raises:
            CalicoError: the datastore did not take it.
        """
        states, is_wanted = self._felix.states, self._felix.config["EndpointReportingEnabled"]
        if states is None or not (is_wanted or self._has_reported):
            return
        host, region = self._felix.hostname, plan.region_of(self._felix.config["OpenstackRegion"])
        if self._stored is None:
            self._stored = await self._read(plan.prefixes(host, region))
        wanted = plan.wanted(states, host, region) if is_wanted else {}
        writes, self._stored = plan.writes(wanted, self._stored), None
        self._has_reported = True
        for first in range(0, len(writes), _WRITES_AT_ONCE):
            await self._backend.transact(writes[first : first + _WRITES_AT_ONCE])
        self._stored, self._has_reported = wanted, is_wanted

    async def _read(self, prefixes: Sequence[str]) -> dict[str, bytes]:
        snapshot = await self._backend.read(*prefixes)
        return {item.key: item.value for item in snapshot.items}
