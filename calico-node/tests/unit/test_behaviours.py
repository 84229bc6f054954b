"""The page of behaviours names tests that exist, and every file of Felix's functional tests."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
FELIX = TESTS / "fv" / "felix"
PAGE = (TESTS / "README.md").read_text("utf-8")
NAMED = re.findall(r"`((?:\w+/)+test_\w+\.py)(?:::(test_\w+))?`", PAGE)
FOLDERS = re.findall(r"`(\w+/(?:\w+/)*)`", PAGE.partition("## ")[2])


def functions(file):
    tree = ast.parse(file.read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_what_the_page_names_is_there():
    files = {name for name, _ in NAMED}
    assert [name for name in files if not (FELIX / name).is_file()] == []
    assert [name for name in FOLDERS if not list((FELIX / name).glob("test_*.py"))] == []
    there = {name: functions(FELIX / name) for name in files}
    assert [f"{name}::{one}" for name, one in NAMED if one and one not in there[name]] == []
    assert len(NAMED) > 50


def test_the_page_names_all_files():
    files = {str(file.relative_to(FELIX)) for file in FELIX.rglob("test_*.py")}
    in_folders = {name for name in files if name.startswith(tuple(FOLDERS))}
    unnamed = files - in_folders - {name for name, _ in NAMED}
    assert unnamed == set(), "say in tests/README.md what behaviour these hold"
