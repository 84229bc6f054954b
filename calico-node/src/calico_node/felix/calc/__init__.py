"""The calculation: datastore updates in, what this host must enforce out. Pure.

::

                       ┌ endpoints, sets ─▶ ipsets ── members of the IP sets in use ──────────┐
    updates ─ graph ───┤ local endpoints ─▶ policies ── policies in use, ordered, by endpoint ─┼▶ Changes
                       │ policies, tiers, profiles ─▶ rules ── compiled rules, sets they name ─┤
                       └ pools, hosts, blocks, configuration ─▶ facts ───────────────────────┘

Nothing here depends on the order in which updates come: the theorem that the tests hold is that the sum of
all changes is a function of the last state alone. What cannot be understood is reported as a problem; a
policy or profile that cannot be understood denies.
"""
