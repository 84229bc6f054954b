"""Names of the host ends of workloads' interfaces. The kernel allows 15 bytes (IFNAMSIZ - 1).

Source: Calico's CNI plugin (``VethNameForWorkload``) and libnetwork plugin.
"""

from __future__ import annotations

import re
from hashlib import sha1
from typing import Final

from libcalico.errors import ValidationError

#: What a workload interface's name begins with unless configured otherwise.
DEFAULT_PREFIX: Final = "cali"
#: The longest name that the kernel takes, in bytes. Source: linux/if.h, IFNAMSIZ with its final zero.
MAX_BYTES: Final = 15

_PART_CHARACTERS: Final = 11
_LEAST_PART: Final = 8  # fewer would let two workloads of a host meet
_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{1,15}")


def container_interface(container: str, prefix: str = DEFAULT_PREFIX) -> str:
    """Return the name for a container or endpoint that has a random identifier of its own.

    Args:
        container: identifier; its first 11 characters must tell containers of a host apart.
        prefix: what Felix knows workload interfaces by.

    Raises:
        ValidationError: the result is no name that the kernel takes.
    """
    return checked(prefix + container[: _room(prefix)])


def pod_interface(namespace: str, pod: str, prefix: str = DEFAULT_PREFIX) -> str:
    """Return the name for a Kubernetes pod, whichever container of it asks.

    Raises:
        ValidationError: the result is no name that the kernel takes.
    """
    digest = sha1(f"{namespace}.{pod}".encode(), usedforsecurity=False).hexdigest()
    return checked(prefix + digest[: _room(prefix)])


def checked(name: str) -> str:
    """Return the name if it can be an interface's.

    Raises:
        ValidationError: it is too long or has other characters than letters, digits, ``_``, ``.``, ``-``.
    """
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise ValidationError(
            f"{name!r} cannot name an interface: 1 to {MAX_BYTES} letters, digits, '_', '.', '-'"
        )
    return name


def first_prefix(prefixes: str) -> str:
    """Return the prefix to name new interfaces with: the first of Felix's comma-separated list."""
    return prefixes.split(",", 1)[0].strip() or DEFAULT_PREFIX


def _room(prefix: str) -> int:
    """Return how much of an identifier goes into the name: 11 characters, fewer with a long prefix.

    Raises:
        ValidationError: the prefix leaves no room to tell workloads apart.
    """
    room = min(_PART_CHARACTERS, MAX_BYTES - len(prefix))
    if room < _LEAST_PART:
        longest = MAX_BYTES - _LEAST_PART
        raise ValidationError(
            f"interface prefix {prefix!r} is too long: at most {longest} characters"
        )
    return room
