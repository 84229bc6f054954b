"""Kernel settings under /proc/sys: read, and write what differs.

A key is a path below /proc/sys with slashes, since an interface's name may hold dots:
``net/ipv4/conf/eth0.100/rp_filter``. What is below ``net`` is of the calling thread's network namespace.

Source: sysctl(8); Documentation/networking/ip-sysctl.rst.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Final, NamedTuple

from libcalico.errors import NetlinkError
from libcalico.netlink.netns import Netns, run_in

_ROOT: Final = "/proc/sys/"
_READ_BYTES: Final = 4096


class Changed(NamedTuple):
    """A setting that was changed.

    Attributes:
        before: the value found.
        after: the value written.
    """

    before: str
    after: str


def interface_key(version: int, interface: str, setting: str) -> str:
    """Return the key of an interface's setting, such as ``rp_filter``; also for "all" and "default"."""
    return f"net/ipv{version}/conf/{interface}/{setting}"


def neighbour_key(version: int, interface: str, setting: str) -> str:
    """Return the key of an interface's neighbour setting, such as ``proxy_delay``."""
    return f"net/ipv{version}/neigh/{interface}/{setting}"


def read(key: str) -> str:
    """Return a setting of the calling thread's namespace; whitespace at the ends is removed.

    Raises:
        NetlinkError: there is no such setting (ENOENT), or it cannot be read.
    """
    try:
        fd = os.open(path(key), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, _READ_BYTES).decode(errors="backslashreplace").strip()
        finally:
            os.close(fd)
    except OSError as error:
        raise from_os(f"cannot read sysctl {key}", error) from error


def write(key: str, value: int | str) -> Changed | None:
    """Write a setting of the calling thread's namespace, if it differs.

    Returns:
        What changed; None if it had the value already.

    Raises:
        NetlinkError: there is no such setting (ENOENT), the kernel refused the value (EINVAL)...
    """
    wanted = str(value)
    found = read(key)
    if found.split() == wanted.split():  # several numbers are separated by tabs
        return None
    try:
        fd = os.open(path(key), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, wanted.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise from_os(f"cannot write {wanted!r} to sysctl {key}", error) from error
    return Changed(found, wanted)


def apply(
    settings: Mapping[str, int | str], netns: Netns | str | os.PathLike[str] | None = None
) -> dict[str, Changed]:
    """Write settings in the order given, those that differ; stop at the first failure.

    Args:
        settings: key → value.
        netns: namespace to do it in; the calling thread's when None.

    Returns:
        Key → what changed, for those that did.

    Raises:
        NetlinkError: as :func:`write`; those before it are written.
    """
    if netns is not None:
        return run_in(netns, lambda: apply(settings))
    results = ((key, write(key, value)) for key, value in settings.items())
    return {key: changed for key, changed in results if changed is not None}


def path(key: str) -> str:
    """Return the file of a setting, or the directory of several.

    Raises:
        NetlinkError: it is no key (EINVAL).
    """
    parts = key.split("/")
    if len(parts) < 2 or not all(parts) or ".." in parts or "." in parts or "\0" in key:
        raise NetlinkError(
            f"{key!r} is no sysctl; write it with slashes: net/ipv4/ip_forward", errno.EINVAL
        )
    return _ROOT + key


def from_os(what: str, error: OSError) -> NetlinkError:
    """Return an error of the operating system's as one of ours."""
    return NetlinkError(f"{what}: {error.strerror}", error.errno or errno.EIO)
