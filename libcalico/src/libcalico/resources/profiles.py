"""Profile: rules for endpoints to which no policy applies, and labels that endpoints inherit."""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from libcalico.resources.model import KindInfo, Model, ObjectMeta, Resource
from libcalico.resources.names import DEFAULT_ALLOW_PROFILE
from libcalico.resources.policy import Rule


class ProfileSpec(Model):
    """Spec of a Profile."""

    ingress: list[Rule] = []
    egress: list[Rule] = []
    labels_to_apply: dict[str, str] = {}


class Profile(Resource, tag="Profile"):
    """Rules and labels that endpoints refer to by name."""

    INFO: ClassVar[KindInfo] = KindInfo(kind="Profile", plural="profiles", aliases=("pro", "pros"))
    spec: ProfileSpec = field(default_factory=ProfileSpec)


def default_allow() -> Profile:
    """Return the profile that every reader sees and that is never stored: it allows everything."""
    allow = [Rule(action="Allow")]
    return Profile(
        metadata=ObjectMeta(name=DEFAULT_ALLOW_PROFILE, resource_version="1"),
        spec=ProfileSpec(ingress=allow, egress=allow),
    )
