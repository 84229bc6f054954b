"""Policy in nftables: the only part of Felix that knows both Calico and nftables.

:mod:`.program` keeps the desired table; :mod:`.static`, :mod:`.classes`, :mod:`.rules` and :mod:`.sets`
render its parts; :mod:`.pending` remembers what changed since the last commit.
"""
