"""Values of the network, without I/O: addresses and CIDRs, MACs, ports and protocols, interface names."""
