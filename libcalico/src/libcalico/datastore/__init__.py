"""The datastore behind one protocol: its keys, its backends (etcd v3, memory) and its syncer."""
