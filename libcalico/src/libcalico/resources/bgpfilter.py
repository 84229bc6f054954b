"""BGPFilter: which routes a node takes from BGP peers and gives to them, and what it changes in them.

Source: calico-control-plane reference, section 2.6.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import field

from libcalico.resources.model import KindInfo, Model, Resource
from libcalico.resources.numorstring import canonical_as_number

MatchOperator = Literal["Equal", "NotEqual", "In", "NotIn"]
PeerType = Literal["eBGP", "iBGP"]


class PrefixLengths(Model):
    """Inclusive bounds of a route's prefix length, inside the rule's CIDR."""

    min: int | None = None
    max: int | None = None


class CommunityMatch(Model):
    """The community that a route must carry; one value."""

    values: list[str] = []


class AddCommunity(Model):
    """Adds a community, ``a:b`` or ``a:b:c``."""

    value: str = ""


class PrependASPath(Model):
    """Puts AS numbers in front of the path; the first one comes first."""

    prefix: list[int | str] = []

    def __post_init__(self) -> None:
        self.prefix = [canonical_as_number(number) for number in self.prefix]


class SetPriority(Model):
    """Sets the route's priority, in the unit of ``ipv4NormalRoutePriority``."""

    value: int = 0


class FilterOperation(Model):
    """One change of an accepted route; exactly one field is set."""

    add_community: AddCommunity | None = None
    prepend_as_path: PrependASPath | None = field(default=None, name="prependASPath")
    set_priority: SetPriority | None = None


class FilterRule(Model, kw_only=True):
    """One rule: if all conditions that are set hold, the action is taken; first match decides."""

    cidr: str = ""
    prefix_length: PrefixLengths | None = None
    source: Literal["RemotePeers"] | None = None
    interface: str = ""
    match_operator: MatchOperator | None = None
    peer_type: PeerType | None = None
    communities: CommunityMatch | None = None
    as_path_prefix: list[int | str] = []
    priority: int | None = None
    action: Literal["Accept", "Reject"]
    operations: list[FilterOperation] = []

    def __post_init__(self) -> None:
        if self.as_path_prefix:
            self.as_path_prefix = [canonical_as_number(number) for number in self.as_path_prefix]


class BGPFilterSpec(Model):
    """Spec of a BGPFilter: rules by direction and family. What no rule decides is left to Calico."""

    export_v4: list[FilterRule] = []
    import_v4: list[FilterRule] = []
    export_v6: list[FilterRule] = []
    import_v6: list[FilterRule] = []


class BGPFilter(Resource, tag="BGPFilter"):
    """Rules for routes, to be named by BGPPeers."""

    INFO: ClassVar[KindInfo] = KindInfo(
        kind="BGPFilter", plural="bgpfilters", aliases=("bgpf", "bgpfs", "bf", "bfs")
    )
    spec: BGPFilterSpec = field(default_factory=BGPFilterSpec)
