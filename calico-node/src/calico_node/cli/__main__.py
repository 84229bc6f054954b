"""For where the console script is not installed."""

from calico_node.cli import main

main()
