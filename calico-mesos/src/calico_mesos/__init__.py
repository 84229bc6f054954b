"""Calico for the Mesos agent's network isolator (net-modules).

In reading order: ``wire`` requests and replies · ``plan`` what they mean in Calico, without I/O ·
``apply`` does it · ``plugin`` the command.
"""
