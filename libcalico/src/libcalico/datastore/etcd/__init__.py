"""The etcd v3 driver.

What decides is free of I/O and shared by both drivers: ``wire`` (messages ⇄ values), ``operations``
(which messages an operation takes, and what their replies mean), ``watching`` (one watch stream),
``attempts`` (what to do about a failed call). ``sync`` and ``aio`` only carry messages; ``channels``
makes their gRPC channels. Importing this package imports gRPC: programs that run once and may not
need the datastore import it late, as :func:`libcalico.datastore.config.connect` does.
"""

import os

# gRPC's core prints failed TLS handshakes and the like on stderr, which belongs to the program; what
# matters is in the error that is raised. It reads this when it is first imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
