"""What IPAM decides, without I/O: each operation is a function over a :class:`~.view.View`.

``view`` (what was read, what is to be written) · ``pools`` (which pools a request may use) ·
``claim`` (affinity of hosts to blocks) · ``assign`` · ``release`` · ``usage``.
"""
