"""Whether a kernel has what Calico needs, from the texts that describe it. Pure.

A feature is there if it is built in, loaded, or can be loaded. Where Go Calico's list is that of
iptables, ours is that of nftables; the last line is Go Calico's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

#: The first kernel whose nf_tables has everything that the policy agent programs.
OLDEST_KERNEL = (5, 10)
#: Module → the option that builds it, and what it is for; without these Calico does not work.
REQUIRED: Mapping[str, tuple[str, str]] = {
    "nf_conntrack": ("NF_CONNTRACK", "connections"),
    "nf_tables": ("NF_TABLES", "policy"),
    "nft_ct": ("NFT_CT", "policy by state of the connection"),
    "nft_fib_inet": ("NFT_FIB_INET", "anti-spoofing"),
    "nft_limit": ("NFT_LIMIT", "limits"),
    "nft_log": ("NFT_LOG", "Log rules"),
    "nft_masq": ("NFT_MASQ", "natOutgoing"),
    "nft_nat": ("NFT_NAT", "translated addresses"),
    "nft_reject_inet": ("NFT_REJECT_INET", "Reject"),
    "veth": ("VETH", "interfaces of workloads"),
}
#: The same, for features that not everybody uses.
OPTIONAL: Mapping[str, tuple[str, str]] = {
    "ipip": ("NET_IPIP", "pools with ipipMode"),
    "vxlan": ("VXLAN", "pools with vxlanMode"),
    "wireguard": ("WIREGUARD", "encryption"),
}
PASSED = "System meets minimum system requirements to run Calico!"
FAILED = "System doesn't meet one or more minimum systems requirements to run Calico"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """What is known of a kernel.

    Attributes:
        release: as ``uname -r`` prints it.
        modules: names of modules that are built in, loaded or can be loaded.
        options: names of build options that are on, without ``CONFIG_``.
    """

    release: str
    modules: AbstractSet[str]
    options: AbstractSet[str]

    def has(self, module: str, option: str) -> bool:
        """Whether a feature is there."""
        return module in self.modules or option in self.options


def kernel(release: str, modules: Sequence[str], config: str) -> Kernel:
    """Put together what is known.

    Args:
        release: as ``uname -r`` prints it.
        modules: texts of modules.dep, modules.builtin and /proc/modules; the first word of each line
            is a module or its file.
        config: the kernel's build configuration.
    """
    words = (line.split(":")[0].split() for text in modules for line in text.splitlines())
    names = {_module(parts[0]) for parts in words if parts}
    options = set(re.findall(r"^CONFIG_(\w+)=[ym]$", config, re.MULTILINE))
    return Kernel(release=release, modules=names, options=options)


def _module(path: str) -> str:
    """Return the name of a module, given its file: ``kernel/net/ipip.ko.xz`` → ``ipip``."""
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def check(found: Kernel) -> tuple[list[str], bool]:
    """Return the lines to print, and whether all that is required is there."""
    old = _version(found.release) < OLDEST_KERNEL
    oldest = ".".join(map(str, OLDEST_KERNEL))
    lines = ["Checking kernel version..."]
    lines.append(_line(found.release, f"FAIL: needs {oldest} or later" if old else "OK"))
    lines.append("Checking kernel modules...")
    missing = False
    for module, (option, purpose) in REQUIRED.items():
        there = found.has(module, option)
        missing = missing or not there
        lines.append(_line(module, "OK" if there else f"FAIL: needed for {purpose}"))
    for module, (option, purpose) in OPTIONAL.items():
        there = found.has(module, option)
        lines.append(_line(module, "OK" if there else f"WARNING: not there; needed for {purpose}"))
    good = not (old or missing)
    return [*lines, PASSED if good else FAILED], good


def _line(subject: str, verdict: str) -> str:
    return f"\t\t{subject:<30}{verdict}"


def _version(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release)[:2])
