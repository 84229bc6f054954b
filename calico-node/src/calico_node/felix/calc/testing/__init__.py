"""Test code for the calculation: a dataplane in plain Python, random datastores, a naive calculation."""
