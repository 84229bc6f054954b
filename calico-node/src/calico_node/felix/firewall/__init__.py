"""The host's own firewall, in which workloads' packets must pass, too: Docker's, and distributions'."""
