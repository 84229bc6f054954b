"""nftables by netlink: the table as values, as text, as bytes, and the way to the kernel.

``keys`` (packed keys, intervals) · ``model`` (what a table holds) · ``text`` (model → nft syntax) ·
``wire`` (model ↔ nfnetlink bytes) · ``plan`` (what changed → ordered operations) · ``apply`` (one
atomic batch on one socket) · ``monitor`` (changes that others make) · ``fake`` (a kernel in memory,
for tests). Nothing here knows Calico.
"""
