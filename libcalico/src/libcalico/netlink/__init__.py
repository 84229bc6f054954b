"""The kernel's network configuration by hand-built netlink.

A batch of requests costs one system call to send and one to read its acknowledgement, and a module costs
next to nothing to import; both matter on Felix's and the plugins' hot paths.

* ``codec``: bytes of messages and attributes, for every netlink family; pure.
* ``sockets``: ``NetlinkSocket``, the only thing here that talks to the kernel.
* ``links``, ``addresses``, ``routes``, ``neighbours``: frozen values; ``encode_...`` gives the bytes of a
  request, to be sent together with others by ``NetlinkSocket.request`` or ``batch``; the plain verbs do it.
* ``monitor``: what others change, as events.
* ``netns``, ``sysctl``: the namespaces in which all that happens, and ``/proc/sys``.
"""
