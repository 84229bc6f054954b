"""What only root may do."""

from __future__ import annotations

import os

from libcalico.errors import ConfigError


def require_root(command: str) -> None:
    """Refuse to go on for others than root.

    Args:
        command: without ``calicoctl``.

    Raises:
        ConfigError: says what to do.
    """
    if os.geteuid() != 0:
        raise ConfigError(f"calicoctl {command} needs root; run it with sudo")
