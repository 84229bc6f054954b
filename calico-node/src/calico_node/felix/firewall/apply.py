"""Keeps our accept rules in the host's own firewall. Synchronous; it never touches our own table.

Nothing here can harm policy: these rules only let pass what our table, which comes before, has let pass. So
failures are not raised; they are told by :attr:`HostFirewall.problem` and tried again.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Final

from calico_node.felix import metrics
from calico_node.felix.firewall import parse, wire
from calico_node.felix.firewall.model import (
    DOCKER_USER,
    FORWARD,
    TABLE,
    Chains,
    FirewallSettings,
    Insert,
    Operation,
)
from calico_node.felix.firewall.plan import plan, removal
from calico_node.felix.firewall.takeover import take_over
from calico_node.felix.nft.apply import Nftables
from calico_node.felix.nft.monitor import Monitor
from calico_node.felix.nft.wire import encode_dump_chains, encode_dump_rules
from libcalico.errors import NetlinkError, OverrunError
from libcalico.netlink.codec import Answer

log = logging.getLogger(__name__)

_ATTEMPTS: Final = 5
#: What a change is refused with when others changed the same chains meanwhile.
_CHANGED_MEANWHILE: Final = (errno.ENOENT, errno.EAGAIN)


class HostFirewall:
    """Our rules in the firewall of the network namespace in which this was made.

    Args:
        settings: what they depend on.
        own_ports: of the other sockets whose commits are not to be told.

    Raises:
        NetlinkError: no socket could be opened.
    """

    def __init__(self, settings: FirewallSettings, own_ports: Collection[int] = ()) -> None:
        self._settings = settings
        self._is_started = False
        self._has_taken_over = False
        self._were_there: set[tuple[int, str]] = set()
        self.problem = ""
        self._nftables = Nftables()
        try:
            ports = [self._nftables.port, *own_ports]
            self._monitor = Monitor(TABLE, ports, families=wire.FAMILIES.values())
        except BaseException:
            self._nftables.close()
            raise

    def close(self) -> None:
        """Close the sockets. The rules stay: they belong to the policy that stays in force, too."""
        self._monitor.close()
        self._nftables.close()

    @property
    def monitor(self) -> Monitor:
        """Readable when somebody changed the host's firewall; then call :meth:`repair`."""
        return self._monitor

    def start(self) -> None:
        """Put the rules where they belong; later, try again what failed. Call it when policy is in force."""
        if not self._is_started or self.problem:
            self._is_started = True
            self._sync()

    def reconfigure(self, settings: FirewallSettings) -> None:
        """Take over another configuration."""
        if settings == self._settings:
            return
        self._settings = settings
        self._were_there.clear()
        if self._is_started:
            self._sync()

    def repair(self) -> None:
        """Look at what others changed, and put our rules back where they belong."""
        try:
            is_changed = bool(self._monitor.read())
        except OverrunError:
            is_changed = True
        if is_changed and self._is_started:
            self._sync()

    def _sync(self) -> None:
        problems: list[str] = []
        if not self._has_taken_over:
            try:
                take_over(self._nftables)
                self._has_taken_over = True
            except NetlinkError as error:
                problems.append(str(error))
        for version in wire.FAMILIES:
            try:
                done = change(self._nftables, version, partial(self._plan, version))
            except NetlinkError as error:
                problems.append(f"{wire.FAMILIES[version]} {TABLE}: {error}")
            else:
                self._note(version, done)
        self._tell("; ".join(problems))

    def _plan(self, version: int, chains: Chains) -> list[Operation]:
        if version not in self._settings.versions:
            return removal(chains)
        return plan(chains, self._settings)

    def _note(self, version: int, done: list[Operation]) -> None:
        for operation in done:
            if not isinstance(operation, Insert):
                continue
            comment = operation.acceptance.comment
            if (version, comment) in self._were_there:
                metrics.REPAIRS.labels("firewall").inc()
            self._were_there.add((version, comment))
            log.info(
                "rule added to the host's firewall family=%s chain=%s rule=%r",
                wire.FAMILIES[version],
                operation.chain,
                comment,
            )

    def _tell(self, problem: str) -> None:
        if problem and problem != self.problem:
            log.warning("cannot keep rules in the host's firewall, trying again error=%s", problem)
        self.problem = problem


def read(nftables: Nftables, version: int) -> Chains:
    """Return the chains in which our rules are or may belong, with their rules.

    Raises:
        NetlinkError: the kernel refused.
    """
    family = wire.PROTOCOLS[version]
    found = parse.chains(nftables.dump(encode_dump_chains(family)))
    return {
        name: replace(
            chain, rules=parse.rules(nftables.dump(encode_dump_rules(family, TABLE, name)))
        )
        for name, chain in found.items()
        if name in (DOCKER_USER, FORWARD)
    }


def change(
    nftables: Nftables, version: int, decide: Callable[[Chains], list[Operation]]
) -> list[Operation]:
    """Read the chains, decide, do it; again if they changed meanwhile. Return what was done.

    Raises:
        NetlinkError: the kernel refused.
    """
    refusal = Answer(errno.EAGAIN, 0)
    for _ in range(_ATTEMPTS):
        operations = decide(read(nftables, version))
        if not operations:
            return []
        refused = nftables.exchange(wire.encode_batch(version, operations))
        if not refused:
            return operations
        refusal = refused[0]
        if refusal.errno not in _CHANGED_MEANWHILE:
            break
    raise NetlinkError(f"the kernel refused a rule: {refusal.text}", refusal.errno)


def find(nftables: Nftables) -> list[str]:
    """Return the names, for people, of all our rules in the host's firewall.

    Raises:
        NetlinkError: the kernel refused.
    """
    return [
        f"{wire.FAMILIES[version]} {TABLE} {chain.name}: {rule.comment}"
        for version in wire.FAMILIES
        for chain in read(nftables, version).values()
        for rule in chain.rules
        if rule.is_ours
    ]


def remove(nftables: Nftables) -> None:
    """Take all our rules out of the host's firewall.

    Raises:
        NetlinkError: the kernel refused.
    """
    for version in wire.FAMILIES:
        change(nftables, version, removal)
