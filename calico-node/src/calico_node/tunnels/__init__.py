"""The addresses of this node's tunnels: assigned from the encapsulated pools, and written to its Node."""
