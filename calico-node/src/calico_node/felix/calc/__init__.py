"""The calculation: datastore updates in, what this host must enforce out. Pure.

::

                      ┌ endpoints, network sets ─▶ ipsets ── members of the sets in use ──────────┐
    updates ─ decode ─┤ local endpoints ─▶ policies ── policies in use; ordered, for each endpoint ┼▶ Changes
      graph           │ policies, profiles ─▶ rules, active ── rules in use, and the sets they name │
                      └ pools, hosts, blocks, configuration ──────────────────────────────────────┘

Nothing here depends on the order in which updates come: the theorem that the tests hold is that the
sum of all changes is a function of the last state alone. What cannot be read is reported as a problem
and never widens access: :mod:`~calico_node.felix.calc.decode` says how. The cost of one change
depends on what it changes, not on how many endpoints there are: both questions that could, whom a
selector selects and which selectors select someone, are the label index's.
"""
