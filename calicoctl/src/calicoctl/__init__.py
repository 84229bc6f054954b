"""calicoctl: manage Calico's resources and the services of a node from the command line.

Reading order: :mod:`.cli` (the commands), :mod:`.grammar` (what they have in common), :mod:`.manifests`
with :mod:`.yamlform` (files → resources), ``commands/`` (what each does), :mod:`.batch` (many resources,
one outcome), :mod:`.printers` with :mod:`.columns` (resources → text).
"""
