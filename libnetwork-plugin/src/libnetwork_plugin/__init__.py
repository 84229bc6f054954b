"""The messages of Docker's remote network and IPAM drivers: :mod:`.wire`.

The driver itself, which answers them, is not part of this version.
"""
