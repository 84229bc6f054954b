"""profile: profiles with their tags and rules. Source: python-era reference, section 1.6."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from calicoctl import profilerules
from calicoctl.commands import endpoints
from calicoctl.grid import grid
from libcalico.client import Client
from libcalico.errors import CalicoError, NotFoundError, ValidationError
from libcalico.resources import codec
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.model import API_VERSION, ObjectMeta
from libcalico.resources.policy import EntityRule, Rule
from libcalico.resources.profiles import Profile, ProfileSpec

#: The words for directions → the fields of a profile.
DIRECTIONS = {"inbound": "ingress", "outbound": "egress"}
_MEMBERS = ("Name", "Host", "Orchestrator ID", "Workload ID", "Endpoint ID", "State")


def add(client: Client, name: str) -> str:
    """Create a profile that lets in what has its own tag, and lets out everything."""
    own = EntityRule(selector=f"has({profilerules.check_tag(name)})")
    spec = ProfileSpec(
        ingress=[Rule(action="Allow", source=own)],
        egress=[Rule(action="Allow")],
        labels_to_apply={name: ""},
    )
    client.profiles.create(Profile(metadata=ObjectMeta(name=name), spec=spec))
    return f"Created profile {name}"


def remove(client: Client, name: str, *, check: bool) -> str:
    """Remove a profile.

    Raises:
        CalicoError: endpoints have it, and ``check`` is set.
    """
    users = [e for e in client.workloadendpoints.list() if name in e.spec.profiles]
    if check and users:
        raise CalicoError(
            f"{len(users)} endpoints have profile {name}, such as {users[0].namespace}/{users[0].name};"
            " give them another one, or use --no-check: what has no profile is denied"
        )
    client.profiles.delete(name)
    return f"Deleted profile {name}"


def table(client: Client, *, detailed: bool) -> str:
    """Return the profiles; with the endpoints that have them, if asked for."""
    names = sorted(profile.name for profile in client.profiles.list())
    if not detailed:
        return grid(("Name",), [(name,) for name in names])
    found = client.workloadendpoints.list()
    members = list(zip(found, endpoints.states(client, found), strict=True))
    rows: list[Sequence[str]] = []
    for name in names:
        rows += [_member(name, e, state) for e, state in members if name in e.spec.profiles] or [
            (name, *["None"] * (len(_MEMBERS) - 1))
        ]
    return grid(_MEMBERS, rows)


def _member(name: str, stored: WorkloadEndpoint, state: str) -> Sequence[str]:
    spec = stored.spec
    return name, spec.node, spec.orchestrator, endpoints.workload_of(stored), spec.endpoint, state


def tags(client: Client, name: str) -> str:
    """Return the tags of a profile, one in a line."""
    return "\n".join(sorted(client.profiles.get(name).spec.labels_to_apply))


def add_tag(client: Client, name: str, tag: str) -> str:
    """Give a profile a tag."""
    label = profilerules.check_tag(tag)
    _modify(client, name, lambda s: s.with_(labels_to_apply={**s.labels_to_apply, label: ""}))
    return f"Tag {tag} added to profile {name}"


def remove_tag(client: Client, name: str, tag: str) -> str:
    """Take a tag from a profile. Raises NotFoundError if it has no such tag."""

    def without(spec: ProfileSpec) -> ProfileSpec:
        if tag not in spec.labels_to_apply:
            raise NotFoundError(f"profile {name} has no tag {tag}")
        kept = {key: value for key, value in spec.labels_to_apply.items() if key != tag}
        return spec.with_(labels_to_apply=kept)

    _modify(client, name, without)
    return f"Tag {tag} removed from profile {name}"


def rules(client: Client, name: str) -> str:
    """Return the rules of a profile, numbered from 1."""
    spec = client.profiles.get(name).spec
    lines = []
    for word, field in DIRECTIONS.items():
        lines.append(f"{word.capitalize()} rules:")
        found = getattr(spec, field)
        lines += [f"{n:4} {profilerules.text(rule)}" for n, rule in enumerate(found, 1)]
    return "\n".join(lines)


def rules_json(client: Client, name: str) -> str:
    """Return the rules as :func:`update_rules` takes them."""
    document = codec.to_mapping(client.profiles.get(name))["spec"]
    return json.dumps({f: document.get(f, []) for f in DIRECTIONS.values()}, indent=2)


def update_rules(client: Client, name: str, text: str) -> str:
    """Replace the rules of a profile by those of a JSON object with ``ingress`` and ``egress``."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"the rules are not JSON: {error}") from error
    if not isinstance(given, dict) or not set(given) <= set(DIRECTIONS.values()):
        raise ValidationError("the rules must be a JSON object with ingress and egress")
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "Profile",
        "metadata": {"name": name},
        "spec": given,
    }
    parsed = codec.from_manifest(manifest)
    if not isinstance(parsed, Profile):
        raise ValidationError("the rules are those of no profile")
    new = parsed.spec
    _modify(client, name, lambda s: s.with_(ingress=new.ingress, egress=new.egress))
    return f"Rules of profile {name} updated"


def add_rule(
    client: Client, name: str, direction: str, words: Sequence[str], at: int | None
) -> None:
    """Insert a rule at a position from 1, or at the end.

    Raises:
        ValidationError: there is no such position, or the rule is there already.
    """
    rule = profilerules.parse(words)

    def change(found: list[Rule]) -> list[Rule]:
        if rule in found:
            raise ValidationError(f"profile {name} has this {direction} rule already")
        place = len(found) if at is None else _position(at, len(found) + 1)
        return [*found[:place], rule, *found[place:]]

    _change_rules(client, name, direction, change)


def remove_rule(
    client: Client, name: str, direction: str, words: Sequence[str], at: int | None
) -> None:
    """Remove the rule at a position from 1, or the one that the words describe.

    Raises:
        ValidationError: there is no such position.
        NotFoundError: there is no such rule.
    """
    rule = profilerules.parse(words) if at is None else None

    def change(found: list[Rule]) -> list[Rule]:
        if at is not None:
            place = _position(at, len(found))
            return [*found[:place], *found[place + 1 :]]
        if rule not in found:
            raise NotFoundError(f"profile {name} has no such {direction} rule")
        return [other for other in found if other != rule]

    _change_rules(client, name, direction, change)


def _position(at: int, last: int) -> int:
    if not 1 <= at <= last:
        raise ValidationError(f"position {at} is not within 1 to {last}")
    return at - 1


def _change_rules(
    client: Client, name: str, direction: str, change: Callable[[list[Rule]], list[Rule]]
) -> None:
    field = DIRECTIONS[direction]
    _modify(client, name, lambda s: s.with_(**{field: change(getattr(s, field))}))


def _modify(client: Client, name: str, change: Callable[[ProfileSpec], ProfileSpec]) -> None:
    client.profiles.modify(name, lambda stored: stored.with_(spec=change(stored.spec)))
