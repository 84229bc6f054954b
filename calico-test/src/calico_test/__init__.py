"""Black-box test harness: namespaced hosts, workloads, etcd, connectivity matrix."""
