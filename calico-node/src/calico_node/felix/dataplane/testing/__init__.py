"""What tests of the whole of Felix need: random worlds of policy, and frames to hold them against."""
