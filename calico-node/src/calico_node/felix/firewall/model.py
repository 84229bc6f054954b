"""The forward chains of the host's own firewall (iptables-nft), and our rules in them. Frozen values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from calico_node.felix.nft.model import ACCEPT, Counter, Field, Match, NamePrefix, Rule

#: What the comment of each of our rules begins with: by it they are known again.
MARKER: Final = "calico: policy has passed"
#: iptables' table, its chain for forwarded packets, and the one that Docker leaves to the operator.
TABLE: Final = "filter"
FORWARD: Final = "FORWARD"
DOCKER_USER: Final = "DOCKER-USER"

_OURS: Final = re.compile(rf"{re.escape(MARKER)} (from|to) \S+\+")
Direction = Literal["from", "to"]


@dataclass(frozen=True, slots=True, order=True)
class Acceptance:
    """Accepts forwarded packets from, or to, the interfaces whose names begin so."""

    direction: Direction
    prefix: str

    @property
    def comment(self) -> str:
        """What identifies the rule in the kernel, and explains it to whoever lists it."""
        return f"{MARKER} {self.direction} {self.prefix}+"

    @property
    def rule(self) -> Rule:
        """The rule as iptables-nft would make it, but for the order of its options."""
        looked_at = Field.IIFNAME if self.direction == "from" else Field.OIFNAME
        match = Match(looked_at, NamePrefix(self.prefix))
        return Rule((match, Counter(), ACCEPT), comment=self.comment)


@dataclass(frozen=True, slots=True)
class Listed:
    """A rule as the kernel has it.

    Attributes:
        handle: the kernel's number for it, unique in its table.
        comment: empty without one.
        target: the chain that it jumps or goes to, empty if to none.
    """

    handle: int
    comment: str = ""
    target: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether we made it."""
        return _OURS.fullmatch(self.comment) is not None


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain as the kernel has it; ``drops``: what reaches its end is dropped by its policy."""

    name: str
    drops: bool = False
    rules: tuple[Listed, ...] = ()


#: Name → chain, of one family's table.
Chains = Mapping[str, Chain]


@dataclass(frozen=True, slots=True)
class FirewallSettings:
    """What our rules there depend on.

    Attributes:
        interface_prefixes: names of workload interfaces begin so.
        accepts: what policy lets pass is accepted there; otherwise the host's own rules have their say.
        appends: put them behind all rules that are there, instead of before them.
        versions: of IP.
    """

    interface_prefixes: tuple[str, ...] = ("cali",)
    accepts: bool = True
    appends: bool = False
    versions: tuple[int, ...] = field(default=(4, 6))


@dataclass(frozen=True, slots=True)
class Insert:
    """Put a rule into a chain, at its beginning or its end."""

    chain: str
    acceptance: Acceptance
    at_end: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """Take a rule out of a chain."""

    chain: str
    handle: int


Operation = Insert | Delete
