"""The shared library: resources, datastore, selectors, IPAM, policy, netlink."""
