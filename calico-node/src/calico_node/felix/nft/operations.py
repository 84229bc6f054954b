"""What can be done to a table, one kernel request each; a list of them is one atomic batch.

Every operation names its ``owner``: an opaque text of the caller, handed back when the kernel
refuses the operation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from calico_node.felix.nft.model import BaseHook, Rule, Set, Verdict, VerdictMap


@dataclass(frozen=True, slots=True)
class CreateTable:
    """Create the table; nothing happens if it exists."""

    table: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class DestroyTable:
    """Remove the table with all it holds; nothing happens if it does not exist."""

    table: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class CreateChain:
    """Create a chain without rules. If it exists it keeps its rules, and a base chain gets the policy."""

    table: str
    chain: str
    hook: BaseHook | None
    owner: str


@dataclass(frozen=True, slots=True)
class FlushChain:
    """Remove all rules of a chain."""

    table: str
    chain: str
    owner: str


@dataclass(frozen=True, slots=True)
class AddRule:
    """Append a rule to a chain. What it refers to must exist."""

    table: str
    chain: str
    rule: Rule
    owner: str


@dataclass(frozen=True, slots=True)
class ReplaceRule:
    """Put a rule in the place of the one that has the handle; see :mod:`.handles`, which makes these."""

    table: str
    chain: str
    handle: int
    rule: Rule
    owner: str


@dataclass(frozen=True, slots=True)
class DeleteChain:
    """Remove a chain and its rules. Nothing may refer to it any more."""

    table: str
    chain: str
    owner: str


@dataclass(frozen=True, slots=True)
class CreateSet:
    """Create a set or map without elements (those of ``set`` are not looked at)."""

    table: str
    set: Set | VerdictMap
    owner: str


@dataclass(frozen=True, slots=True)
class DeleteSet:
    """Remove a set or map and its elements. No rule may refer to it any more."""

    table: str
    set: str
    owner: str


@dataclass(frozen=True, slots=True)
class AddElements:
    """Add keys to a set; those that are there already stay. The keys are as the set's own."""

    table: str
    set: str
    keys: Collection[bytes]
    interval: bool
    owner: str


@dataclass(frozen=True, slots=True)
class DeleteElements:
    """Remove keys from a set or a map; those that are absent are no error."""

    table: str
    set: str
    keys: Collection[bytes]
    interval: bool
    owner: str


@dataclass(frozen=True, slots=True)
class AddVerdicts:
    """Add elements to a map. A key that is there with another verdict is refused: delete it first."""

    table: str
    map: str
    verdicts: Mapping[bytes, Verdict]
    owner: str


Operation: TypeAlias = (
    CreateTable
    | DestroyTable
    | CreateChain
    | FlushChain
    | AddRule
    | DeleteChain
    | CreateSet
    | DeleteSet
    | AddElements
    | DeleteElements
    | AddVerdicts
)


def describe(operation: Operation | ReplaceRule) -> str:
    """Return what is done and to what, in a few words, for messages: ``AddRule t chain``."""
    words = [type(operation).__name__, operation.table]
    match operation:
        case CreateChain() | FlushChain() | AddRule() | ReplaceRule() | DeleteChain():
            words.append(operation.chain)
        case CreateSet():
            words.append(operation.set.name)
        case DeleteSet() | AddElements() | DeleteElements():
            words.append(operation.set)
        case AddVerdicts():
            words.append(operation.map)
        case CreateTable() | DestroyTable():
            pass
    return " ".join(words)
