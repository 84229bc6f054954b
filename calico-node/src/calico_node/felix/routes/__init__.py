"""Routes of this host: :mod:`.plan` decides, ``dataplane.router`` does."""
