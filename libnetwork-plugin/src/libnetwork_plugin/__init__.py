"""Calico as Docker's remote network and IPAM driver.

In reading order: ``wire`` what Docker sends · ``pools`` and ``plan`` what is to be done, without I/O ·
``store`` endpoints and profiles in the datastore · ``interface`` their interfaces · ``ipam_driver`` and
``network_driver`` Docker's calls · ``docker_api`` and ``completion`` what only Docker's API tells ·
``app``, ``server``, ``cli`` around it.
"""
