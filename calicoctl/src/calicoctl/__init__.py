"""calicoctl: manage Calico's resources and the services of a node from the command line.

Reading order: :mod:`.cli` (the commands), :mod:`.grammar` (what they have in common), ``commands/`` (what
each does), :mod:`.batch` (many resources, one outcome), :mod:`.printers` with :mod:`.columns` (resources →
text). Files become resources in :mod:`libcalico.manifests`.
"""
