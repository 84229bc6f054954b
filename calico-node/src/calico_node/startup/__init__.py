"""What happens once, before the agents start: name, addresses, Node, default resources."""
