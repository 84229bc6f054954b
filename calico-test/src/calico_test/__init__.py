"""Black-box test harness: namespaced hosts, workloads, etcd, connectivity matrix.

Imports none of the product. ``Lab`` makes hosts, ``Host.add_workload`` makes workloads, ``Matrix`` says who
reaches whom; ``NetNs`` and ``Etcd`` serve smaller tests. As a pytest plugin it offers them as fixtures.
Whatever a crash leaves behind is removed by ``python -m calico_test.sweep``.
"""
