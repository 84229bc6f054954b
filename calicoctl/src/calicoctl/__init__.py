"""calicoctl: manage Calico's resources and the services of a node from the command line.

Reading order: :mod:`.cli` (the grammar), :mod:`.manifests` (files → resources), :mod:`.batch` (many
resources, one outcome), :mod:`.printers` with :mod:`.columns` (resources → text), ``commands/``.
"""
