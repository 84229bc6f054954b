"""How long a change takes to be felt by packets: a flow of probes every millisecond that tells when it flips.

Opening is dated by the first answer, closing by the start of the first attempt that failed for good, so the
resolution is the period of the flow. All times are the machine's monotonic clock.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from calico_test.agents import Request
from calico_test.errors import DeadlineError
from calico_test.probes import Probe
from calico_test.workloads import Endpoint

State = Literal["open", "closed"]

#: Silence for so long is a lost TCP segment, not a late answer of a loaded machine: what is lost is sent
#: again one second later (RFC 6298, section 2.1). For flows whose losses are counted.
LOST_MS = 900.0


@dataclass(frozen=True, slots=True)
class Totals:
    """A flow's life: ``lost`` attempts failed while earlier and later ones succeeded."""

    attempts: int
    lost: int


class Flow:
    """Probes one address from one endpoint without a pause, as a context manager.

    Args:
        source: who probes.
        to: address.
        probe: how.
        period_ms: between the starts of two attempts.
        timeout_ms: silence for so long means that an attempt failed; ``LOST_MS`` where losses are counted.

    Attributes:
        totals: once the flow has ended.
    """

    def __init__(
        self,
        source: Endpoint,
        to: str,
        probe: Probe,
        *,
        period_ms: float = 1.0,
        timeout_ms: float = 100.0,
    ) -> None:
        self._agent = source.agent
        self._what = f"{source.name} -> {to} {probe}"
        request = Request(to=to, probe=probe, timeout_ms=timeout_ms)
        self._fields = {**request.fields(), "op": "flow", "period_ms": period_ms}
        self._state: State | None = None
        self._since_ns = 0
        self.totals: Totals | None = None

    def __enter__(self) -> Self:
        self._number = self._agent.send(self._fields)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._agent.send({"op": "stop", "id": self._number})
        answer = self._agent.receive(self._number, 10.0)
        while "attempts" not in answer:
            answer = self._agent.receive(self._number, 10.0)
        self.totals = Totals(answer["attempts"], answer["lost"])

    def wait(self, state: State, *, deadline_s: float = 10.0) -> int:
        """Wait until it is in this state, and return since when, in monotonic nanoseconds.

        Raises:
            DeadlineError: it did not.
        """
        until = time.monotonic() + deadline_s
        while self._state != state and (left_s := until - time.monotonic()) > 0:
            try:
                change = self._agent.receive(self._number, left_s)
            except DeadlineError:
                break
            self._state, self._since_ns = change["state"], change["at_ns"]
        if self._state == state:
            return self._since_ns
        raise DeadlineError(f"{self._what}: not {state} within {deadline_s} s")


def measure(
    flow: Flow, change: Callable[[], object], *, to: State, deadline_s: float = 10.0
) -> float:
    """Make a change, and return how many milliseconds after it began the flow flipped.

    Args:
        flow: running; it is first awaited in the other state.
        change: for instance runs ``calicoctl apply``.
        to: the state that the change leads to.

    Raises:
        DeadlineError: the flow is not in the other state before, or not in this one after.
    """
    flow.wait("closed" if to == "open" else "open", deadline_s=deadline_s)
    began_ns = time.monotonic_ns()
    change()
    return (flow.wait(to, deadline_s=deadline_s) - began_ns) / 1e6
