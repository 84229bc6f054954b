"""How an allow leaves its policy chain: by mark bits, or by policies copied into the class chains.

What decision 0004 weighs. A packet's cost is the CPU that a datagram over loopback takes from its sender, who
also filters it; that of a namespace without rules is taken off. The only rule that matches is the last one of
the last policy. A commit's cost is the CPU of an edit of one policy. All kinds take turns: they see the same
machine.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from bench.measure import Report, Scale
from calico_node.felix.messages import (
    CompiledRule,
    EndpointPolicies,
    PolicyId,
    RuleSide,
    TierPolicies,
)
from calico_node.felix.nft.apply import Nftables
from calico_node.felix.nft.model import (
    DROP,
    RETURN,
    BaseHook,
    Chain,
    Field,
    Match,
    Rule,
    jump,
    table,
)
from calico_node.felix.nft.plan import Delta, plan, replace_table
from calico_node.felix.program import classes, names, rules
from calico_node.felix.program.settings import RuleSettings
from calico_test.netns import NetNs
from libcalico.net.ports import PortRange

_POLICIES = (1, 5, 20)
_CLASSES = (1, 5, 20)
_RULES = 10
_UDP = 17
_PORT = 9000
_ROUNDS = 40
_PACKETS = 1_000
_SETTINGS = RuleSettings()
_CONTEXT = rules.RuleContext(_SETTINGS, lambda _set, _version: False, ())
_HOOK = BaseHook("filter", "output", 0)

#: Chains of so many policies and classes, of which one policy has a certain port in its first rule.
Layout = Callable[[int, int, int], list[Chain]]


def run(report: Report) -> None:
    """Measure packets by the number of policies, and commits by the number of classes."""
    with ExitStack() as stack:
        spaces = {name: stack.enter_context(NetNs()) for name in ("no rules", *_LAYOUTS)}
        senders = {name: stack.enter_context(space.call(_sender)) for name, space in spaces.items()}
        kernels = {name: stack.enter_context(spaces[name].call(Nftables)) for name in _LAYOUTS}
        for policies in _POLICIES:
            for name, layout in _LAYOUTS.items():
                _load(kernels[name], layout(policies, 1, _PORT))
            _packets(report, senders, policies)
        for count in _CLASSES:
            for name, layout in _LAYOUTS.items():
                _load(kernels[name], layout(_POLICIES[-1], count, _PORT))
            _commits(report, kernels, count)


def _packets(report: Report, senders: dict[str, socket.socket], policies: int) -> None:
    samples: dict[str, list[float]] = {name: [] for name in _LAYOUTS}
    for _ in range(_ROUNDS):
        bare = _send(senders["no rules"])
        for name, found in samples.items():
            found.append(_send(senders[name]) - bare)
    results = {}
    for name, found in samples.items():
        scale = Scale("answers: a packet's cost", name, policies, "policies of ten rules")
        title = f"answers: first packet through {policies} policies, {name}"
        results[name] = report.add(title, "us", found, "CPU", scale)
    title = f"answers: first packet through {policies} policies, marks over inlined"
    report.ratio(title, results["marks"], results["inlined"])


def _commits(report: Report, kernels: dict[str, Nftables], count: int) -> None:
    samples: dict[str, list[float]] = {name: [] for name in _LAYOUTS}
    for turn in range(_ROUNDS):
        for name, layout in _LAYOUTS.items():
            before = {chain.name: chain for chain in layout(_POLICIES[-1], count, _PORT + turn)}
            after = layout(_POLICIES[-1], count, _PORT + turn + 1)
            edited = tuple(chain for chain in after if before[chain.name] != chain)
            samples[name].append(_cpu_us(kernels[name], Delta(chains=edited)) / 1e3)
    results = {}
    for name, found in samples.items():
        scale = Scale("answers: an edit's cost", name, count, "classes that use the policy")
        title = f"answers: a policy of {count} classes edited, {name}"
        results[name] = report.add(title, "ms", found, "CPU", scale)
    title = f"answers: a policy of {count} classes edited, inlined over marks"
    report.ratio(title, results["inlined"], results["marks"])


def _cpu_us(kernel: Nftables, delta: Delta) -> float:
    began_ns = time.thread_time_ns()
    kernel.commit(plan(names.TABLE, delta))
    return (time.thread_time_ns() - began_ns) / 1e3


def _sender() -> socket.socket:
    """Return a socket that sends to one that nobody reads: what it has no room for is dropped."""
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def _send(sender: socket.socket) -> float:
    """Return the microseconds of CPU that one datagram takes."""
    began_ns = time.thread_time_ns()
    for _ in range(_PACKETS):
        sender.sendto(b"", ("127.0.0.1", _PORT - 1))
    return (time.thread_time_ns() - began_ns) / 1e3 / _PACKETS


def _load(kernel: Nftables, chains: Sequence[Chain]) -> None:
    kernel.commit(replace_table(table(names.TABLE, chains)))


# The two layouts


def _marks(policies: int, count: int, port: int) -> list[Chain]:
    """Return the chains as Felix makes them."""
    used = [PolicyId("GlobalNetworkPolicy", "", f"p{number}") for number in range(policies)]
    chains = [
        Chain(names.policy_chain(policy, "ingress"), tuple(_rules(number, policies, port)))
        for number, policy in enumerate(used)
    ]
    found = []
    for number in range(count):
        tier = TierPolicies(f"tier{number}", "Deny", tuple(used), ())
        found.append(classes.render(EndpointPolicies((tier,), ()), "ingress", _SETTINGS))
    return [*chains, *found, _base(found)]


def _inlined(policies: int, count: int, port: int) -> list[Chain]:
    """Return class chains that hold the rules of all policies; an allow returns."""
    every = [
        Rule((*_conditions(rule), RETURN))
        for number in range(policies)
        for rule in _rules(number, policies, port)
    ]
    found = [Chain(f"class{number}", (*every, Rule((DROP,)))) for number in range(count)]
    return [*found, _base(found)]


_LAYOUTS: dict[str, Layout] = {"marks": _marks, "inlined": _inlined}


def _base(found: Sequence[Chain]) -> Chain:
    """Return what leads datagrams into the first class, and, never, into the others."""
    other = tuple(Rule((Match(Field.L4PROTO, 132), jump(chain.name))) for chain in found[1:])
    first = Rule((Match(Field.L4PROTO, _UDP), jump(found[0].name)))
    return Chain("output", (first, *other), _HOOK)


def _rules(number: int, policies: int, port: int) -> list[Rule]:
    """Return a policy's rules: the last one of all allows the datagrams, the first one of all is edited."""
    ports = [_PORT + 1000 * (number + 1) + k for k in range(_RULES)]
    if number == 0:
        ports[0] = port
    if number == policies - 1:
        ports[-1] = _PORT - 1
    compiled = [
        CompiledRule("Allow", protocol=_UDP, destination=RuleSide(ports=(PortRange(p, p),)))
        for p in ports
    ]
    return [rule for one in compiled for rule in rules.render(one, _CONTEXT)]


def _conditions(rule: Rule) -> tuple[Match, ...]:
    return tuple(s for s in rule.statements if isinstance(s, Match))
