"""Felix: the per-host agent that programs policy and routes."""
