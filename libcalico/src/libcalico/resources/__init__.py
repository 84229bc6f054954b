"""Calico's v3 resources: the kinds, their defaults, their validation, their JSON.

Reading order: :mod:`.model` (what all kinds share), one module per subject (``policy``, ``endpoints``,
``profiles``, ``networksets``, ``ippools``, ``nodes``, ``bgp``, ``felixconfig``, ``clusterinfo``),
:mod:`.registry` (kind by name), :mod:`.defaults`, :mod:`.validate`, :mod:`.codec`.
"""
