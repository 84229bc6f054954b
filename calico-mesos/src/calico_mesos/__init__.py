"""The messages of the Mesos network isolator: :mod:`.wire` reads requests and writes replies.

The isolator itself, which gives tasks an address and a place in the network, is not part of this
version.
"""
