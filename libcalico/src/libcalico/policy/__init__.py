"""The reference evaluator: policy objects and a packet → the verdict, and the rule that gave it.

Written in the plainest code possible, for it is the oracle: what Felix programs must agree with it
packet for packet. :mod:`.model` holds the values, :mod:`.match` says whether one rule matches,
:mod:`.evaluate` walks tiers, policies and profiles; :mod:`.hosts` follows a packet through a host.

Source of the semantics: calico-control-plane reference, section 4.
"""

from libcalico.policy.evaluate import evaluate, evaluate_endpoint
from libcalico.policy.hosts import (
    Failsafe,
    Failsafes,
    Passage,
    evaluate_passage,
    governing,
    is_untracked,
)
from libcalico.policy.model import (
    Endpoint,
    Flavour,
    HostEndpoint,
    NetSet,
    Packet,
    Step,
    Verdict,
    World,
)

__all__ = [
    "Endpoint",
    "Failsafe",
    "Failsafes",
    "Flavour",
    "HostEndpoint",
    "NetSet",
    "Packet",
    "Passage",
    "Step",
    "Verdict",
    "World",
    "evaluate",
    "evaluate_endpoint",
    "evaluate_passage",
    "governing",
    "is_untracked",
]
