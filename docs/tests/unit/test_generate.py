"""The generated pages say what the code says."""

import importlib
import re
import sys
from pathlib import Path

import click
import pytest

DOCS = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _path():
    sys.path.insert(0, str(DOCS))
    yield
    sys.path.remove(str(DOCS))


def module(name):
    return importlib.import_module(f"generate.{name}")


def test_a_command_is_shown_with_options_defaults_and_variables():
    @click.group(epilog="Examples:\n\n\b\n  x go --far\n  x stop")
    def x():
        """Drive <somewhere>."""

    @x.command()
    @click.option("--far/--near", help="How *far*.", default=True, show_default=True)
    @click.option("--name", envvar="X_NAME", show_envvar=True)
    def go():
        """Go."""

    @x.command(hidden=True)
    def secret():
        """Not for everyone."""

    page = module("commands").page("x", x)
    assert "Drive &lt;somewhere>." in page
    assert "```text\nExamples:\n\n  x go --far\n  x stop\n```" in page
    assert "## x go\n\nGo.\n\n```text\nx go [OPTIONS]\n```" in page
    assert "| `--far`, `--near` | How \\*far\\*. | `far` |  |" in page
    assert "| `--name` `TEXT` |  |  | `X_NAME` |" in page
    assert "secret" not in page


@pytest.fixture(scope="module")
def pages():
    return dict(module("resources").pages(DOCS.parent / "demo" / "resources"))


def test_each_kind_has_a_page_and_is_listed(pages):
    listed = re.findall(r"\]\(([a-z]+\.md)\)", pages["index.md"])
    assert sorted(listed) == sorted(name for name in pages if name != "index.md")


def test_types_defaults_and_what_is_required_are_shown(pages):
    assert "| `blockSize` | integer | `26` for IPv4, `122` for IPv6 |" in pages["ippool.md"]
    assert "| `vxlanMode` | `Never`, `Always`, `CrossSubnet` | `Never` |" in pages["ippool.md"]
    assert "spec.cidr: missing" in pages["ippool.md"]
    assert "| `action` | `Allow`, `Deny`, `Log`, `Pass` | required |" in pages["networkpolicy.md"]
    assert "list of [Rule](#rule)" in pages["networkpolicy.md"]


def test_every_link_inside_a_page_has_its_heading(pages):
    for name, text in pages.items():
        headings = {heading.lower() for heading in re.findall(r"^## (\w+)$", text, re.MULTILINE)}
        assert set(re.findall(r"\(#(\w+)\)", text)) <= headings, name


def test_every_example_is_one_of_its_kind(pages):
    for name, text in pages.items():
        for kind in re.findall(r"```yaml\n(?:.*\n)*?kind: (\w+)", text):
            assert f"{kind.lower()}.md" == name


def test_tables_hold_parameters_metrics_keys_and_errors():
    tables = module("tables")
    keys = tables.keys()
    assert "| `HealthPort` | `healthPort` | int, 0 to 65535 | `9099` |  |" in tables.felix()
    assert "tcp:22,udp:68" in tables.felix()
    assert "`felix_resync_state` | gauge" in tables.metrics()
    assert "`/calico/resources/v3/projectcalico.org/ippools/NAME`" in keys
    assert "`NotFoundError` | The key does not exist." in tables.error_page()
