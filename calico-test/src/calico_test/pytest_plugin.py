"""The pytest plugin of calico-test."""
