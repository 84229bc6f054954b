"""Bandwidth of workloads: :mod:`.plan` says how fast what may go, :mod:`.apply` has the kernel queue it."""
