"""Files, folders and standard input → documents, each knowing its file, number and lines.

A document is a mapping with its place; :func:`load` makes resources of them and collects every
mistake of every document before anything is done with any of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from libcalico.errors import CalicoError, ValidationError
from libcalico.resources import codec
from libcalico.resources.model import Resource

_SUFFIXES = (".json", ".yaml", ".yml")
_MERGE = "tag:yaml.org,2002:merge"


class ManifestError(CalicoError):
    """Input cannot be used; ``problems`` has one text for each mistake, with its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Document:
    """One YAML or JSON document, or one member of a List.

    Args:
        source: the file's name, or ``stdin``.
        number: position in the file, from 1.
        content: what it holds.
        lines: path in the document (``spec.ingress[0].action``) → line in the file, from 1.
    """

    source: str
    number: int
    content: Any
    lines: Mapping[str, int] = field(default_factory=dict)

    def place(self, path: str = "") -> str:
        """Return where a path is, for messages; the nearest line that is known."""
        while path and path not in self.lines:
            path = _parent(path)
        line = self.lines.get(path)
        where = f"{self.source}:{line}" if line else self.source
        return f"{where}: document {self.number}{self._subject()}"

    def _subject(self) -> str:
        if not isinstance(self.content, Mapping):
            return ""
        metadata = self.content.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        kind = self.content.get("kind")
        return f" ({kind} {name})" if kind and name else f" ({kind})" if kind else ""


def _parent(path: str) -> str:
    """Return the path of what holds a value: ``spec.a[0]`` → ``spec.a`` → ``spec``."""
    return path.rpartition("[")[0] if path.endswith("]") else path.rpartition(".")[0]


def load(filename: str, *, recursive: bool = False) -> list[tuple[Document, Resource]]:
    """Return the resources of a file, folder (``recursive``: with its folders) or ``-``, in order.

    Raises:
        ManifestError: something cannot be read or is no valid resource. All mistakes are named.
    """
    loaded: list[tuple[Document, Resource]] = []
    problems: list[str] = []
    for document in documents(filename, recursive=recursive):
        try:
            loaded.append((document, codec.from_manifest(document.content)))
        except ValidationError as error:
            problems += explain(document, error)
    if problems:
        raise ManifestError(problems)
    return loaded


def explain(document: Document, error: ValidationError) -> list[str]:
    """Return the mistakes of a document with their places."""
    return [f"{document.place(_path(problem))}: {problem}" for problem in error.problems]


def _path(problem: str) -> str:
    path, colon, _ = problem.partition(": ")
    return path if colon and " " not in path else ""


def documents(filename: str, *, recursive: bool = False) -> Iterator[Document]:
    """Yield the documents of a file, folder or ``-`` (standard input); Lists are expanded."""
    if filename == "-":
        yield from _parse("stdin", sys.stdin.read())
        return
    for path in _files(Path(filename), recursive=recursive):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ManifestError([f"{path}: cannot be read: {error}"]) from error
        yield from _parse(str(path), text)


def _files(path: Path, *, recursive: bool) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for member in sorted(path.iterdir()):
        if member.is_dir() and recursive:
            yield from _files(member, recursive=True)
        elif member.suffix in _SUFFIXES and member.is_file():
            yield member


def _parse(source: str, text: str) -> Iterator[Document]:
    number = 0
    loader = yaml.CSafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                break
            _refuse_duplicates(source, node)
            content = loader.construct_document(node)
            if content is None:
                continue
            for member, member_node, prefix in _members(content, node):
                number += 1
                lines = dict(_lines(member_node, ""))
                yield Document(source + prefix, number, member, lines)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ManifestError([_syntax_error(source, error)]) from error
    finally:
        loader.dispose()


def _syntax_error(source: str, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error)
    place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark is not None else source
    return f"{place}: not valid YAML or JSON: {what}"


def _refuse_duplicates(source: str, root: yaml.Node) -> None:
    """A key given twice is a mistake that YAML readers hide by taking the last one."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        if not isinstance(node, yaml.MappingNode):
            continue
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise ManifestError([f"{source}:{line}: {key.value!r} is given twice"])
                seen.add(key.value)
            waiting.append(value)


def _members(content: Any, node: yaml.Node) -> Iterator[tuple[Any, yaml.Node, str]]:
    """Yield a document itself, or the members of a List or of an array."""
    items: Any = content
    items_node: yaml.Node | None = node
    if isinstance(content, Mapping) and str(content.get("kind", "")).endswith("List"):
        items, items_node = content.get("items"), _value_node(node, "items")
    if not isinstance(items, list) or not isinstance(items_node, yaml.SequenceNode):
        yield content, node, ""
        return
    for member, member_node in zip(items, items_node.value, strict=True):
        yield from _members(member, member_node)


def _value_node(node: yaml.Node, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value in node.value:
            if key_node.value == key:
                found: yaml.Node = value
                return found
    return None


def _lines(node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{path}.{key.value}" if path else str(key.value)
            yield name, key.start_mark.line + 1
            yield from ((p, n) for p, n in _lines(value, name) if p != name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, f"{path}[{index}]")
