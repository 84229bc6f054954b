"""Clusters for tests: named ones, whose configurations are kept as golden files, and random ones."""
