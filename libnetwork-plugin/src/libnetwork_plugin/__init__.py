"""The messages of Docker's remote network and IPAM drivers."""
