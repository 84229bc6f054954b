"""The tree in the module's docstring is the tree of the classes."""

import inspect
import re

from libcalico import errors


def drawn() -> dict[str, str]:
    """Class → its parent, from the indentation of the docstring's list."""
    parents: list[tuple[int, str]] = []
    tree = {}
    for indent, name in re.findall(r"^( *)\* (\w+)", inspect.getdoc(errors) or "", re.MULTILINE):
        while parents and parents[-1][0] >= len(indent):
            parents.pop()
        tree[name] = parents[-1][1] if parents else "Exception"
        parents.append((len(indent), name))
    return tree


def test_the_tree_is_as_drawn() -> None:
    classes = inspect.getmembers(errors, inspect.isclass)
    assert {name: kind.__base__.__name__ for name, kind in classes} == drawn()


def test_every_error_says_what_it_means() -> None:
    assert all(kind.__doc__ for _, kind in inspect.getmembers(errors, inspect.isclass))


def test_what_was_lost_is_a_netlink_error_with_its_number() -> None:
    assert errors.OverrunError("lost").errno == 105  # ENOBUFS on Linux


def test_a_validation_error_lists_its_problems() -> None:
    assert errors.ValidationError("a: bad", "b: worse").problems == ("a: bad", "b: worse")
