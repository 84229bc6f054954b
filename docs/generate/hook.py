"""MkDocs hook: adds the generated pages and the decisions to the site. Nothing generated is committed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_DOCS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_DOCS))

import calico_cni.cli  # noqa: E402  the folder above has to be on the path first
import calico_node.cli  # noqa: E402
import calico_release.cli  # noqa: E402
import calicoctl.cli  # noqa: E402
import libnetwork_plugin.cli  # noqa: E402
from generate import commands, resources, tables  # noqa: E402
from libcalico.resources.registry import KINDS  # noqa: E402

#: A role of reStructuredText before code, and the path that ``~`` hides.
_ROLE = re.compile(r":(?:class|data|func|meth|mod):<code>(?:~[\w.]*\.)?")
_PROGRAMS = {
    "calicoctl": calicoctl.cli.calicoctl,
    "calico-node": calico_node.cli.main,
    "calico-cni": calico_cni.cli.main,
    "libnetwork-plugin": libnetwork_plugin.cli.main,
    "calico-release": calico_release.cli.command,
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put decisions and kinds into the navigation: a new one needs no other place."""
    kinds = sorted(f"reference/resources/{kind.lower()}.md" for kind in KINDS)
    listed = {
        "Resources": ["reference/resources/index.md", *kinds],
        "Decisions": ["decisions/README.md", *(f"decisions/{path.name}" for path in _records())],
    }
    _fill(config.nav or [], listed)
    return config


def _fill(nav: list[Any], listed: dict[str, list[str]]) -> None:
    """Put the lists at the empty sections of the navigation that are called so."""
    for entry in nav:
        for title, below in entry.items() if isinstance(entry, dict) else ():
            if below == []:
                entry[title] = listed[title]
            elif isinstance(below, list):
                _fill(below, listed)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for path, text in _generated():
        files.append(File.generated(config, path, content=text))
    for record in [_DOCS / "adr" / "README.md", *_records()]:
        files.append(File.generated(config, f"decisions/{record.name}", abs_src_path=str(record)))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Show a docstring's cross references as code: Markdown knows no roles."""
    return _ROLE.sub("<code>", html)


def _records() -> list[Path]:
    return sorted((_DOCS / "adr").glob("[0-9]*.md"))


def _generated() -> Iterator[tuple[str, str]]:
    for name, command in _PROGRAMS.items():
        yield f"reference/cli/{name}.md", commands.page(name, command)
    yield "reference/cli/calico-mesos.md", commands.page_of_help("calico-mesos")
    for path, text in resources.pages(_DOCS.parent / "demo" / "resources"):
        yield f"reference/resources/{path}", text
    yield "reference/felix.md", tables.felix()
    yield "reference/metrics.md", tables.metrics()
    yield "reference/keys.md", tables.keys()
    yield "reference/errors.md", tables.error_page()
