"""Who reaches whom at each stage, written down by hand: the demonstration fails on any difference.

Workloads are called after their application and their host: ``web1`` is the ``web`` on ``host1``.
"""

from __future__ import annotations

from calico_test.probes import ICMP, Probe

HTTP, SQL = Probe("tcp", 80), Probe("tcp", 5432)
PROBES = (HTTP, SQL, ICMP)
APPLICATIONS = ("web", "api", "db")

#: (from, to) → what is open between applications under the policies in ``resources/``.
ALLOWED = {("web", "api"): {HTTP, ICMP}, ("api", "db"): {SQL}}
#: The same after ``live-change.yaml``.
ALLOWED_AFTER_CHANGE = {**ALLOWED, ("api", "db"): {HTTP, SQL}}


def before_policy(source: str, destination: str, probe: Probe) -> bool:
    """The profile of the network allows everything."""
    del source, destination, probe
    return True


def after_policy(source: str, destination: str, probe: Probe) -> bool:
    """Default deny, and what the policies allow."""
    return _is_open(ALLOWED, source, destination, probe)


def after_change(source: str, destination: str, probe: Probe) -> bool:
    """One port more."""
    return _is_open(ALLOWED_AFTER_CHANGE, source, destination, probe)


def _is_open(
    allowed: dict[tuple[str, str], set[Probe]], source: str, destination: str, probe: Probe
) -> bool:
    if _is_host(destination):
        return _is_host(source)
    if _is_host(source):
        # A host always reaches its own workloads; others it may ping, for the hosts are a network set.
        return probe == ICMP or source[-1] == destination[-1]
    return probe in allowed.get((source[:-1], destination[:-1]), set())


def _is_host(name: str) -> bool:
    return name.startswith("host")
