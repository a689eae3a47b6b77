"""Whether the instances of a job talk to each other: the trace that a process group leaves.

In: the processes that stand for instances. Out: yes or no. gloo, NCCL and MPI keep TCP connections
between their processes open for as long as the group lives. Source: proc(5), /proc/PID/net/tcp.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from fogbank.cloud.machines.enter import descendants

_ESTABLISHED = "01"
_SOCKET = "socket:["
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_End = tuple[str, int]


def linked(pids: Sequence[int], ignored_port: int) -> bool:
    """Whether a process of one instance has a TCP connection to a process of another one.

    pids:         what stands for each instance (`engine.Instance.pid`); processes below count.
    ignored_port: connections to it do not count: that is where launchers meet, and they meet also
                  when the scripts that they start never form a group.

    Reads /proc for some milliseconds: call it in a thread.
    """
    seen: dict[tuple[str, _End, _End], int] = {}
    for number, pid in enumerate(pids):
        below = descendants(pid)
        network = _network(below)
        for local, remote in _connections(below):
            if ignored_port in (local[1], remote[1]):
                continue
            # Instances with networks of their own have a loopback interface each.
            where = network if {local[0], remote[0]} <= _LOOPBACK else ""
            if seen.get((where, remote, local), number) != number:
                return True
            seen[where, local, remote] = number
    return False


def _network(pids: Sequence[int]) -> str:
    """What tells these processes' network from others; empty where they have gone."""
    for each in pids[-1:]:
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{each}/ns/net")  # noqa: PTH115 - no path, a name
    return ""


def _connections(below: Sequence[int]) -> set[tuple[_End, _End]]:
    """(own end, other end) of each connection that these processes hold."""
    inodes = {inode for each in below for inode in _socket_inodes(each)}
    # Processes of one instance may be in a network of their own: each table is read through them.
    found: set[tuple[_End, _End]] = set()
    for each in below:
        rows = list(_rows(each))
        if rows:
            found |= {(local, remote) for local, remote, inode in rows if inode in inodes}
            break
    return found


def _socket_inodes(pid: int) -> Iterator[int]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208 - as strings, thousands of them
    except OSError:
        return
    for name in names:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")  # noqa: PTH115
        except OSError:
            continue
        if target.startswith(_SOCKET):
            yield int(target[len(_SOCKET) : -1])


def _rows(pid: int) -> Iterator[tuple[_End, _End, int]]:
    """Own end, other end and inode of the established connections in the network of a process."""
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _ESTABLISHED:
                yield _end(fields[1]), _end(fields[2]), int(fields[9])


def _end(text: str) -> _End:
    """`0100007F:1F90` -> ("127.0.0.1", 8080). The address is 32-bit words in the host's order."""
    address, _, port = text.partition(":")
    words = (int(address[at : at + 8], 16) for at in range(0, len(address), 8))
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    if len(packed) == 4:
        return str(IPv4Address(packed)), int(port, 16)
    wide = IPv6Address(packed)
    return str(wide.ipv4_mapped or wide), int(port, 16)
