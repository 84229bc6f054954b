"""The demonstration: two hosts, six workloads, policy on real parts. Run it with ``make demo``.

:mod:`.expected` says who reaches whom at each stage, :mod:`.stage` sets the scene with the commands that an
operator and a container runtime would use, ``__main__`` plays.
"""
