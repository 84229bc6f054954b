"""What a rule with the action Log does: a line in the kernel's log, headed as the operator wants it.

Source: calico-dataplane reference, sections 2.6 and 5.2; the kernel takes 127 bytes of prefix.
"""

from __future__ import annotations

import re
from typing import Final

from calico_node.felix.messages import PolicyId
from calico_node.felix.nft.model import Limit, Log, Statement, Unit
from calico_node.felix.program import names
from calico_node.felix.program.settings import RuleSettings

_LONGEST: Final = 127
_END: Final = ": "
_SPECIFIER: Final = re.compile(r"%([tknp])")
_UNITS: Final[dict[str, Unit]] = {
    "second": "second",
    "minute": "minute",
    "hour": "hour",
    "day": "day",
}
_UNFIT: Final = re.compile(r'[^ -~]|["\\]')


def statements(subject: PolicyId | str, tier: str, settings: RuleSettings) -> tuple[Statement, ...]:
    """Return what a Log rule of a policy, or of a profile (by name), does with what it matches.

    Beyond the rate limit a packet is not logged; in any case the next rule decides.
    """
    log = Log(prefix(subject, tier, settings.log_prefix))
    return (log,) if settings.log_limit is None else (settings.log_limit, log)


def prefix(subject: PolicyId | str, tier: str, template: str) -> str:
    """Return the head of the lines.

    Args:
        template: in it ``%t`` is the tier, ``%k`` the kind, ``%n`` the name, ``%p`` namespace and name.
    """
    if isinstance(subject, PolicyId):
        where = f"{subject.namespace}/{subject.name}" if subject.namespace else subject.name
        words = {"t": tier, "k": names.short_kind(subject.kind), "n": subject.name, "p": where}
    else:
        words = {"t": "profile", "k": "pro", "n": subject, "p": subject}
    told = _SPECIFIER.sub(lambda found: words[found[1]], template)
    return _UNFIT.sub(" ", told)[: _LONGEST - len(_END)] + _END


def limit(rate: str, burst: int) -> Limit | None:
    """Return the limit that text as ``10/minute`` asks for; None for an empty one.

    A burst of 0 is the kernel's own default.
    """
    if not rate:
        return None
    number, _, unit = rate.partition("/")
    default = Limit(int(number), _UNITS[unit])
    return Limit(default.rate, default.unit, burst or default.burst)
