"""Conversations: what the datastore says, and what the dataplane is told of it after each paragraph.

``put KIND NAME OBJECT`` and ``del KIND NAME``; an object is the JSON of a spec, in which ``labels``
stand for those of the metadata; ``interface NAME [down] ADDRESS...`` and ``interface NAME gone``. After
``----`` follows what one flush tells. Set ``CALICO_REWRITE_GOLDEN=1`` to write the files anew; commit the
difference only if you can say why.
"""

import json
import os
from dataclasses import fields
from pathlib import Path

import pytest

from calico_node.felix.calc.graph import Calculation
from calico_node.felix.calc.testing.dataplane import Dataplane
from calico_node.felix.messages import CompiledRule, PortMember, RuleSide
from libcalico.datastore import keys
from libcalico.net.addresses import Cidr, parse_address
from libcalico.net.ports import PortRange
from libcalico.resources.model import ResourceId

FILES = sorted(Path(__file__).with_name("conversations").glob("*.txt"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_conversation(file):
    text = file.read_text()
    title, *paragraphs = text.rstrip("\n").split("\n\n")
    calculation, dataplane = Calculation("here"), Dataplane()
    calculation.flush()
    heard = [title]
    for paragraph in paragraphs:
        said = paragraph.split("\n----")[0]
        for line in said.splitlines():
            if line.startswith("interface "):
                name, addresses, is_up = interface(line)
                calculation.on_interface(name, addresses, is_up=is_up)
            elif not line.startswith("#"):
                calculation.on_update(*update(line))
        changes = calculation.flush()
        dataplane.apply(changes)
        heard.append("\n".join([said, "----", *sorted(told(changes))]))
    written = "\n\n".join(heard) + "\n"
    if os.environ.get("CALICO_REWRITE_GOLDEN"):
        file.write_text(written)
    assert written == text


def interface(line):
    _, name, *addresses = line.split()
    if addresses == ["gone"]:
        return name, None, False
    is_up = addresses[:1] != ["down"]
    return name, [parse_address(text) for text in addresses[not is_up :]], is_up


def update(line):
    verb, kind, name, *rest = line.split(" ", 3)
    namespace, _, short = name.rpartition("/")
    key = keys.path_of(ResourceId(kind, namespace, short))
    if verb == "del":
        return key, None
    assert verb == "put", line
    spec = json.loads(rest[0]) if rest else {}
    metadata = {"name": short, "labels": spec.pop("labels", {})}
    return key, json.dumps({"metadata": metadata, "spec": spec}).encode()


def told(changes):
    for set_id, change in changes.sets.items():
        signs = [f"+{member(m)}" for m in change.added] + [f"-{member(m)}" for m in change.deleted]
        state = ["created"] * change.created + ["removed"] * change.removed
        yield " ".join([f"set {set_id[:8]}", *state, *sorted(signs)])
    for name, active in [*changes.policies.items(), *changes.profiles.items()]:
        yield " ".join([f"rules of {name}:", policy(active)])
    for endpoint, value in changes.endpoints.items():
        yield f"endpoint {endpoint.namespace}/{endpoint.name}: {local(value)}"
    for where, host in changes.host_endpoints.items():
        yield f"host endpoint of {where}: {governing(host)}"
    for name, links in changes.host_links.items():
        yield f"interfaces of host endpoint {name}: {links or 'forgotten'}"
    for problem in changes.problems.values():
        yield f"problem: {problem.subject}: {problem.message}" if problem else "problem: solved"


def member(value):
    if isinstance(value, PortMember):
        return f"{value.address.address},{value.protocol},{value.port}"
    return str(value)


def policy(active):
    if active is None:
        return "gone"
    if active.missing:
        return "missing"
    rules = [f"[{'; '.join(map(rule, told))}]" for told in (active.ingress, active.egress)]
    return f"in {rules[0]} out {rules[1]}" + ", everywhere" * active.everywhere


def local(value):
    if value is None:
        return "gone"
    tiers = list(map(tier, value.policies.tiers))
    addresses = " ".join(map(str, value.addresses))
    profiles = f"profiles {[*value.policies.profiles]}"
    return "; ".join(
        [f"{value.interface} {addresses}", ", then ".join(tiers) or "no policy", profiles]
    )


def tier(value):
    ingress, egress = ([p.name for p in policies] for policies in (value.ingress, value.egress))
    return f"{value.name}({value.default_action}) in {ingress} out {egress}"


def governing(value):
    if value is None:
        return "none"
    policies = value.policies
    flavours = {
        "normal": policies.normal.tiers,
        "forward": policies.forward,
        "pre-DNAT": policies.pre_dnat,
        "untracked": policies.untracked,
    }
    parts = [
        f"{name} {', then '.join(map(tier, tiers))}" for name, tiers in flavours.items() if tiers
    ]
    return "; ".join([value.name, *parts, f"profiles {[*policies.normal.profiles]}"])


def rule(value):
    return " ".join([value.action, *different(value, CompiledRule("Allow"))])


def different(value, default):
    for field in fields(value):
        there = getattr(value, field.name)
        if field.name != "action" and there != getattr(default, field.name):
            yield f"{field.name}={shown(there)}"


def shown(value):
    match value:
        case RuleSide():
            return f"({' '.join(different(value, RuleSide()))})"
        case Cidr() | PortRange():
            return str(value)
        case tuple():
            return "[" + " ".join(map(shown, value)) + "]"
        case str():
            return value[:8]
    return str(value)
