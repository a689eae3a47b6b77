"""Network links by the kernel's own protocol: what `ip link` and `ip address` do.

In: names, addresses, descriptors of network namespaces. Out: links that are there, or OSError. A
`Netlink` speaks for the network namespace in which it was made, wherever its process goes later.
Source: rtnetlink(7), veth(4), linux/if_link.h. Standard library only.
"""

from __future__ import annotations

import os
import socket
import struct
from ipaddress import IPv4Interface, IPv6Interface

_RTM_NEWLINK, _RTM_NEWADDR = 16, 20
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_EXCL, _NLM_F_CREATE = 1, 4, 0x200, 0x400
_NLMSG_ERROR = 2
_IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 3, 4, 10, 18, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFA_F_NODAD = 2
_IFF_UP = 1

_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_LINK = struct.Struct("=BxHiII")  # ifinfomsg
_ADDRESS = struct.Struct("=BBBBi")  # ifaddrmsg

LOOPBACK = "lo"

_MTU_BYTES = 65535
"""Nothing is on the cable that wants small packets."""


class Netlink:
    """Close it when the links are there; they stay."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def add_bridge(self, name: str) -> None:
        """A switch. OSError (EOPNOTSUPP) where the kernel has none."""
        info = _attribute(_IFLA_INFO_KIND, b"bridge\0")
        self._add_link(_named(name) + _attribute(_IFLA_LINKINFO, info))

    def add_cable(self, name: str, peer: str, peer_namespace: int) -> None:
        """A pair of linked interfaces: `name` here, `peer` in the network namespace that the
        descriptor stands for. OSError (EOPNOTSUPP) where the kernel has no veth."""
        size = _number(_IFLA_MTU, _MTU_BYTES)
        there = _link() + _named(peer) + size + _number(_IFLA_NET_NS_FD, peer_namespace)
        data = _attribute(_VETH_INFO_PEER, there)
        info = _attribute(_IFLA_INFO_KIND, b"veth\0") + _attribute(_IFLA_INFO_DATA, data)
        self._add_link(_named(name) + size + _attribute(_IFLA_LINKINFO, info))

    def connect(self, name: str, bridge: int) -> None:
        """Plug an interface into the switch of that number, see `index`."""
        self._ask(_RTM_NEWLINK, 0, _link() + _named(name) + _number(_IFLA_MASTER, bridge))

    def set_up(self, name: str) -> None:
        """Switch an interface on."""
        self._ask(_RTM_NEWLINK, 0, _link(up=True) + _named(name))

    def add_address(self, index: int, address: IPv4Interface | IPv6Interface) -> None:
        """Give an interface an address, with the network that is reached through it."""
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        head = _ADDRESS.pack(family, address.network.prefixlen, _IFA_F_NODAD, 0, index)
        packed = address.ip.packed
        body = head + _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
        self._ask(_RTM_NEWADDR, _NLM_F_CREATE | _NLM_F_EXCL, body)

    def _add_link(self, attributes: bytes) -> None:
        self._ask(_RTM_NEWLINK, _NLM_F_CREATE | _NLM_F_EXCL, _link() + attributes)

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        """Send a request and wait for the kernel's answer, which is an error number, 0 for done."""
        self._sequence += 1
        size = _HEADER.size + len(body)
        flags |= _NLM_F_REQUEST | _NLM_F_ACK
        self._socket.send(_HEADER.pack(size, kind, flags, self._sequence, 0) + body)
        answer = self._socket.recv(65536)
        _, answer_kind, _, sequence, _ = _HEADER.unpack_from(answer)
        if answer_kind != _NLMSG_ERROR or sequence != self._sequence:
            raise OSError(f"netlink answered {answer_kind} to {kind}")
        (negative,) = struct.unpack_from("=i", answer, _HEADER.size)
        if negative:
            raise OSError(-negative, f"netlink request {kind}: {os.strerror(-negative)}")


def index(name: str) -> int:
    """The number of an interface in the namespace that this process is in now."""
    return socket.if_nametoindex(name)


def _link(*, up: bool = False) -> bytes:
    return _LINK.pack(socket.AF_UNSPEC, 0, 0, _IFF_UP if up else 0, _IFF_UP if up else 0)


def _named(name: str) -> bytes:
    return _attribute(_IFLA_IFNAME, name.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


def _attribute(kind: int, value: bytes) -> bytes:
    """A length, a kind, a value, and zeros up to a multiple of four."""
    size = 4 + len(value)
    return struct.pack("=HH", size, kind) + value + b"\0" * (-size % 4)
