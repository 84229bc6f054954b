"""What brings the desired state into the kernel: :mod:`.enforcer` policy, :mod:`.router` routes."""
