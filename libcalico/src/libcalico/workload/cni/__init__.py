"""The Container Network Interface on top of ``libcalico.workload``, versions 0.1.0 to 1.1.0.

It lives in the library because two programs run it: the plugins of ``calico-cni`` and the resident
server of ``calico-node``, which answers for them. In reading order: ``model`` · ``errors`` · ``parse``
environment and network configuration · ``identity`` who the workload is · ``results`` one result
inside, one encoder per version · ``connections`` datastores by network · ``ipam`` addresses, ours or
another plugin's · ``plugin`` the verbs · ``answer`` one call in, one reply out · ``wire`` calls and
replies between the shim and the server.
"""
