"""The reference evaluator: policy objects and a packet → the verdict, and the rule that gave it.

Written in the plainest code possible, for it is the oracle: what Felix programs must agree with it
packet for packet. :mod:`.model` holds the values, :mod:`.match` says whether one rule matches,
:mod:`.evaluate` walks tiers, policies and profiles.

Source of the semantics: calico-control-plane reference, section 4.
"""

from libcalico.policy.evaluate import evaluate, evaluate_endpoint
from libcalico.policy.model import Endpoint, NetSet, Packet, Step, Verdict, World

__all__ = [
    "Endpoint",
    "NetSet",
    "Packet",
    "Step",
    "Verdict",
    "World",
    "evaluate",
    "evaluate_endpoint",
]
