"""The documentation and the checks that keep it true."""
