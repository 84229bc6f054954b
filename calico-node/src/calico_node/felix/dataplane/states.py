"""The state of each endpoint of this host, as it is told to the datastore."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from calico_node.felix.messages import EndpointId

#: up: policy and routes are in force; down: its interface is missing or down, or its address is
#: another's; error: the kernel refused something of it, or, of a host endpoint, no interface is meant.
State = Literal["up", "down", "error"]
#: A workload endpoint, or a host endpoint by its name.
Subject = EndpointId | str


class States:
    """Endpoint → state.

    Attributes:
        revision: grows with every change.
    """

    def __init__(self) -> None:
        self.revision = 0
        self._states: dict[Subject, State] = {}

    @property
    def all(self) -> Mapping[Subject, State]:
        """The state of every endpoint."""
        return MappingProxyType(self._states)

    def put(self, subject: Subject, state: State | None) -> None:
        """The endpoint is now in this state, or, None, gone."""
        if self._states.get(subject) == state:
            return
        self.revision += 1
        if state is None:
            del self._states[subject]
        else:
            self._states[subject] = state
