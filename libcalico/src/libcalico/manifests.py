"""Files, folders and standard input → documents, each knowing its file, number and lines.

A document is a value with its place; :func:`load` makes resources of them and collects every
mistake of every document before anything is done with any of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from libcalico import yamlform
from libcalico.errors import CalicoError, ValidationError
from libcalico.resources import codec
from libcalico.resources.model import Resource

STDIN = "-"
_SUFFIXES = (".json", ".yaml", ".yml")
_MERGE = "tag:yaml.org,2002:merge"
#: Values in one document once its aliases are written out; some 100,000 resources.
_MOST_VALUES = 10_000_000


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
        node: the same as it was parsed, for the lines.
    """

    source: str
    number: int
    content: Any
    node: yaml.Node = field(compare=False, repr=False)

    def place(self, path: str = "") -> str:
        """Return where a path is, for messages; the nearest line that is known."""
        while path and path not in self._lines:
            path = _parent(path)
        return f"{self.source}:{self._lines[path]}: document {self.number}{self._subject()}"

    @cached_property
    def _lines(self) -> Mapping[str, int]:
        """Path in the document (``spec.ingress[0].action``) → line in the file, from 1."""
        return dict(_lines(self.node, ""))

    def _subject(self) -> str:
        if not isinstance(self.content, Mapping):
            return ""
        metadata = self.content.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        kind = self.content.get("kind")
        return f" ({kind} {name})" if kind and name else f" ({kind})" if kind else ""


def load(
    filename: str, prepare: Callable[[Resource], Resource], *, recursive: bool = False
) -> list[Resource]:
    """Return the resources of a file, folder or ``-``, in order.

    Args:
        filename: a file, a folder, or ``-`` for standard input.
        prepare: completes and checks each resource; raises ValidationError if it breaks a rule.
        recursive: read the folder's folders as well.

    Raises:
        ManifestError: something cannot be read or is no valid resource. All mistakes are named.
    """
    loaded: list[Resource] = []
    problems: list[str] = []
    for path in _paths(filename, recursive=recursive):
        try:
            for document in documents(path):
                try:
                    loaded.append(prepare(codec.from_manifest(document.content)))
                except ValidationError as error:
                    problems += _explain(document, error)
        except ManifestError as error:
            problems += error.problems
    if problems:
        raise ManifestError(problems)
    return loaded


def _explain(document: Document, error: ValidationError) -> list[str]:
    """Return the mistakes of a document with their places."""
    return [f"{document.place(_path(problem))}: {problem}" for problem in error.problems]


def documents(path: Path | None) -> Iterator[Document]:
    """Yield the documents of a file, or of standard input (None); Lists are expanded.

    Raises:
        ManifestError: it cannot be read, or is neither YAML nor JSON.
    """
    source = "stdin" if path is None else str(path)
    try:
        raw = sys.stdin.buffer.read() if path is None else path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise ManifestError([f"{source}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ManifestError([f"{source}: is not UTF-8 text: {error.reason}"]) from error
    yield from _parse(source, text)


def _paths(filename: str, *, recursive: bool) -> list[Path | None]:
    if filename == STDIN:
        return [None]
    try:
        return list(_files(Path(filename), recursive=recursive))
    except OSError as error:
        raise ManifestError([f"{error.filename}: cannot be read: {error.strerror}"]) from error


def _files(path: Path, *, recursive: bool) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for member in sorted(path.iterdir()):
        if member.is_dir():
            if recursive and not member.is_symlink():
                yield from _files(member, recursive=True)
        elif member.suffix in _SUFFIXES:
            yield member


def _parse(source: str, text: str) -> Iterator[Document]:
    number = 0
    loader = yamlform.Loader(text)
    try:
        while loader.check_node() and (node := loader.get_node()) is not None:
            _check(node, source, {})
            for content, member in _members(loader.construct_document(node), node):
                number += 1
                yield Document(source, number, content, member)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ManifestError([_syntax_error(source, error)]) from error
    finally:
        loader.dispose()


def _syntax_error(source: str, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error)
    place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark is not None else source
    return f"{place}: not valid YAML or JSON: {' '.join(what.split())}"


def _check(node: yaml.Node, source: str, sizes: dict[int, int]) -> int:
    """Refuse what YAML readers accept and nobody means; return how many values the node holds.

    That is: a key given twice, of which the last would win, and aliases that make a short document
    endless or enormous.

    Args:
        sizes: ``id`` of each node seen so far → its size, 0 while it is being looked at.
    """
    size = sizes.get(id(node))
    if size == 0:
        raise _refused(source, node, "the alias refers to what it is part of")
    if size is None:
        sizes[id(node)] = 0
        size = 1
        for child in _children(node, source):
            size += _check(child, source, sizes)
            if size > _MOST_VALUES:
                raise _refused(source, node, "aliases make the document too large")
        sizes[id(node)] = size
    return size


def _children(node: yaml.Node, source: str) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in seen:
                    raise _refused(source, key, f"{key.value!r} is given twice")
                seen.add(key.value)
            yield value


def _refused(source: str, node: yaml.Node, text: str) -> ManifestError:
    return ManifestError([f"{source}:{node.start_mark.line + 1}: {text}"])


def _members(content: Any, node: yaml.Node) -> Iterator[tuple[Any, yaml.Node]]:
    """Yield a document itself, or the members of a List or of an array; nothing if it is empty."""
    items: Any = content
    items_node: yaml.Node | None = node
    if isinstance(content, Mapping) and str(content.get("kind", "")).endswith("List"):
        items, items_node = content.get("items"), _value_node(node, "items")
    if isinstance(items, list) and isinstance(items_node, yaml.SequenceNode):
        for member, member_node in zip(items, items_node.value, strict=True):
            yield from _members(member, member_node)
    elif content is not None:
        yield content, node


def _value_node(node: yaml.Node, key: str) -> yaml.Node | None:
    return next((value for name, value in node.value if name.value == key), None)


def _path(problem: str) -> str:
    """Return the path that a problem's text begins with, "" if it begins with none."""
    path, colon, _ = problem.partition(": ")
    return path if colon and " " not in path else ""


def _parent(path: str) -> str:
    """Return the path of what holds a value: ``spec.a[0]`` → ``spec.a`` → ``spec``."""
    return path.rpartition("[")[0] if path.endswith("]") else path.rpartition(".")[0]


def _lines(node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    """Yield each path with its line; for a member of an object that of its key."""
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{path}.{key.value}" if path else str(key.value)
            yield from _lines(value, name)
            yield name, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, f"{path}[{index}]")
