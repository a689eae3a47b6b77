"""Where the instances of one job meet: an address and a port that no other job has.

In: the address of the job's first instance. Out: a Rendezvous, held until it is released.

torch's store listens on every interface, so an address of its own does not keep two jobs apart:
on SageMaker's fixed port 7777 they would join each other's process group. The port is held, not
only found: a socket stays bound to it without listening. Whoever asks the kernel for a free port,
another cloud on this host included, does not get it; the store does, because it binds with
SO_REUSEADDR and the holder has that option too by then (socket(7): two such sockets may share a
port as long as neither of the earlier ones listens).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping


class Rendezvous:
    """An address and a TCP port. Made by `reserve`."""

    def __init__(self, address: str, holder: socket.socket) -> None:
        self.address = address
        self.port: int = holder.getsockname()[1]
        self._holder = holder

    @property
    def variables(self) -> Mapping[str, str]:
        """What the training image looks for (`fogbank.images.training.launch`)."""
        return {"FOGBANK_MASTER_ADDR": self.address, "FOGBANK_MASTER_PORT": str(self.port)}

    def release(self) -> None:
        """The port is anybody's again. May be called twice."""
        self._holder.close()


def reserve(address: str) -> Rendezvous:
    """A port that is free on every address of this host, held. Raises OSError where none is."""
    holder = _bound()
    # Only now: with the option at bind, the kernel could hand out a port that somebody else holds.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return Rendezvous(address, holder)


def _bound() -> socket.socket:
    """Bound on IPv6 and IPv4 together, as the store will be; on IPv4 where the host has no IPv6."""
    try:
        holder = socket.socket(socket.AF_INET6)
    except OSError:
        return _bind(socket.socket(socket.AF_INET), "0.0.0.0")  # noqa: S104 - it never listens
    try:
        holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        return _bind(holder, "::")
    except OSError:
        holder.close()
        return _bind(socket.socket(socket.AF_INET), "0.0.0.0")  # noqa: S104 - it never listens


def _bind(holder: socket.socket, address: str) -> socket.socket:
    try:
        holder.bind((address, 0))
    except OSError:
        holder.close()
        raise
    return holder
