"""For tests of the calculation and what follows it: a dataplane in plain Python."""
