"""nftables by netlink: the table as values, as text, as bytes, and the way to the kernel.

``keys`` (packed keys, intervals) · ``model`` (what a table holds) · ``text`` (model → nft syntax) ·
``operations`` (what can be done) · ``plan`` (what changed → ordered operations) · ``expressions``
and ``wire`` (rules and operations → nfnetlink bytes) · ``parse`` (the kernel's bytes → values) ·
``apply`` (one atomic batch on one socket) · ``monitor`` (changes that others make) · ``fake`` (a
kernel in memory, for tests) · ``testing`` (rule forms, contract, random tables). Nothing here knows
Calico.
"""
