"""Takes everything of ours off this host, and nothing else."""
