"""``calico-node``; a module for each kind of command."""

from calico_node.cli.main import main

__all__ = ["main"]
