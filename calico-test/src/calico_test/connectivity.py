"""Observe who reaches whom, all at once, and hold it against what is expected.

Probes of one round run in parallel from the agents of all sources, so a round takes about one timeout,
however many cells it has. A probe counts as OPEN only when the destination that was meant says so itself
(ICMP aside).
"""

import dataclasses
from collections.abc import Iterable, Sequence

from calico_test import matrix, processes
from calico_test.agents import Request
from calico_test.matrix import Cell, Expectation, Mismatch, Report
from calico_test.probes import Observation, Outcome, Probe
from calico_test.workloads import Endpoint


class Matrix:
    """Everyone tries everyone.

    Args:
        endpoints: sources and destinations, in the order of the tables. They must listen on what is probed.
        probes: the ways to try, e.g. ``[Probe("tcp", 80), ICMP]``.
        families: 4, 6 or both; an endpoint without an address of a family is left out there.
        timeout_ms: silence for so long means denied.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        probes: Sequence[Probe],
        *,
        families: Sequence[int] = matrix.FAMILIES,
        timeout_ms: float = 300.0,
    ) -> None:
        self._endpoint_by_name = {endpoint.name: endpoint for endpoint in endpoints}
        if len(self._endpoint_by_name) != len(endpoints):
            raise ValueError("matrix: endpoints with the same name")
        self._probes = tuple(probes)
        self._families = tuple(families)
        self._timeout_ms = timeout_ms

    @property
    def cells(self) -> list[Cell]:
        """All cells for which source and destination have addresses now."""
        possible = matrix.cells(list(self._endpoint_by_name), self._probes, self._families)
        return [cell for cell in possible if self._has_addresses(cell)]

    def observe(self, wanted: Iterable[Cell] | None = None) -> dict[Cell, Outcome]:
        """Probe once: these cells, or all."""
        observations = self.look(self.cells if wanted is None else wanted)
        return {cell: observation.outcome for cell, observation in observations.items()}

    def look(self, wanted: Iterable[Cell]) -> dict[Cell, Observation]:
        """Probe these cells once, and return all that was seen, e.g. the source address that arrived."""
        cells_by_source: dict[str, list[Cell]] = {}
        for cell in wanted:
            cells_by_source.setdefault(cell.source, []).append(cell)
        started = [
            (own, agent, agent.start(map(self._request, own)))
            for own, agent in (
                (own, self._endpoint_by_name[source].agent)
                for source, own in cells_by_source.items()
            )
        ]
        seen: dict[Cell, Observation] = {}
        for own, agent, pending in started:
            seen.update(zip(own, map(self._judge, own, agent.collect(pending)), strict=True))
        return seen

    def check(self, expected: Expectation) -> Report:
        """Probe everything once.

        Raises:
            Mismatch: something is not as expected.
        """
        observed = self.observe()
        report = Report(observed, matrix.expect(expected, observed))
        if report.differences:
            raise Mismatch(report)
        return report

    def until(self, expected: Expectation, *, deadline_s: float = 10.0) -> Report:
        """Probe until everything is as expected in one and the same round.

        Only what differs is probed again, until nothing does; then everything once more, because what was
        right first may have become wrong meanwhile.

        Raises:
            Mismatch: not within the deadline; it shows the last state.
        """
        wanted = matrix.expect(expected, self.cells)
        observed: dict[Cell, Outcome] = {}
        pending = list(wanted)
        for _ in processes.ticks(deadline_s):
            observed |= self.observe(pending)
            differing = Report(observed, wanted).differences
            if not differing and len(pending) == len(wanted):
                return Report(observed, wanted)
            pending = differing or list(wanted)
        return self.check(expected)

    def _has_addresses(self, cell: Cell) -> bool:
        ends = (cell.source, cell.destination)
        return all(self._endpoint_by_name[end].address(cell.family) for end in ends)

    def _request(self, cell: Cell) -> Request:
        destination = self._endpoint_by_name[cell.destination]
        address = destination.address(cell.family)
        if address is None:
            raise ValueError(f"{cell}: the destination has no such address")
        return Request(
            to=address,
            probe=cell.probe,
            timeout_ms=self._timeout_ms,
            identify=destination.identifies,
        )

    def _judge(self, cell: Cell, observation: Observation) -> Observation:
        destination = self._endpoint_by_name[cell.destination]
        says = observation.name
        if observation.outcome is not Outcome.OPEN or cell.probe.kind == "icmp":
            return observation
        if not destination.identifies or says == cell.destination:
            return observation
        return dataclasses.replace(observation, outcome=Outcome.STRANGER)
