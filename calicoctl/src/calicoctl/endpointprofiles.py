"""Changes to the list of profiles that an endpoint has, in their order. Pure.

Source of the words: python-era reference, section 1.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from libcalico.errors import ValidationError

Names = Sequence[str]


def check(names: Names) -> None:
    """Refuse a list that names a profile twice.

    Raises:
        ValidationError: it does.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValidationError(f"named twice: {', '.join(twice)}; nothing was changed")


def _append(present: Names, names: Names) -> list[str]:
    return [*present, *(name for name in names if name not in present)]


def _remove(present: Names, names: Names) -> list[str]:
    return [name for name in present if name not in names]


def _set(present: Names, names: Names) -> list[str]:
    del present
    return list(names)


#: Word → what becomes of the profiles that are there.
CHANGES: Mapping[str, Callable[[Names, Names], list[str]]] = {
    "append": _append,
    "remove": _remove,
    "set": _set,
}


def told(action: str, present: Names, names: Names, whose: str) -> str:
    """Return what to say of a change.

    Args:
        action: a word of :data:`CHANGES`.
        present: the profiles before.
        names: the profiles that were named.
        whose: endpoint or container.
    """
    if action == "set":
        return f"{whose} has profile(s) {', '.join(names)}" if names else f"{whose} has no profile"
    if not names:
        return "No profile was named; nothing was changed"
    done = [name for name in names if (name in present) == (action == "remove")]
    idle = [name for name in names if name not in done]
    has = "already has" if action == "append" else "does not have"
    past = {"append": "appended to", "remove": "removed from"}[action]
    lines = [f"Profile(s) {', '.join(done)} {past} {whose}"] if done else []
    lines += [f"{whose} {has} profile(s) {', '.join(idle)}"] if idle else []
    return "\n".join(lines)
