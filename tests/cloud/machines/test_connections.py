"""Real processes that talk to each other, or do not."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fogbank.cloud.machines.connections import linked

pytestmark = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this host has no IPv6")

PROGRAM = """
import socket, sys
port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
if port:
    mine = socket.create_connection((host, port))
    print("connected", flush=True)
else:
    server = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    print(server.getsockname()[1], flush=True)
    mine, _ = server.accept()
    server.close()
    print("accepted", flush=True)
sys.stdin.read()
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"


class Programs:
    """Processes, each below one that stands for an instance."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, program: str = PROGRAM) -> tuple[int, subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-c", PARENT, program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._running.append(process)
        return process.pid, process

    def pair(self, host: str = "127.0.0.1") -> tuple[int, int, int]:
        """Two that are connected, and the port."""
        server, process = self.start()
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        client, other = self.start(port, host)
        assert other.stdout is not None
        assert other.stdout.readline() == "connected\n"
        assert process.stdout.readline() == "accepted\n"
        return server, client, int(port)

    def end(self) -> None:
        for process in self._running:
            process.communicate()


@pytest.fixture
def programs() -> Iterator[Programs]:
    programs = Programs()
    yield programs
    programs.end()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_two_that_talk_are_linked(programs: Programs, host: str) -> None:
    server, client, port = programs.pair(host)
    assert linked([server, client], ignored_port=1)
    assert not linked([server, client], ignored_port=port), "launchers meet there"


def test_others_are_not(programs: Programs) -> None:
    server, client, _ = programs.pair()
    third, process = programs.start()
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    assert not linked([server, third], ignored_port=1)
    assert not linked([client, third], ignored_port=1)
    assert linked([third, server, client], ignored_port=1)
    _, last = programs.start(port)
    assert last.stdout is not None
    assert last.stdout.readline() == "connected\n"


def test_a_process_that_is_gone_is_linked_to_nobody(programs: Programs) -> None:
    server, _, _ = programs.pair()
    assert not linked([server, 2**22 + 1], ignored_port=1)


IN_A_NETWORK = """
import os, socket, sys
from fogbank.cloud.machines.enter import CLONE_NEWNET, own_namespaces
from fogbank.cloud.machines.netlink import LOOPBACK, Netlink
try:
    own_namespaces(CLONE_NEWNET)
except OSError as error:
    print(error, flush=True)
    sys.exit()
Netlink().set_up(LOOPBACK)
server = socket.create_server(("127.0.0.1", 7001))
if os.fork() == 0:
    server.close()
    mine = socket.create_connection(("127.0.0.1", 7001), source_address=("127.0.0.1", 7002))
    sys.stdin.read()
mine, _ = server.accept()
print("up", flush=True)
sys.stdin.read()
"""


def test_equal_ends_in_two_networks_are_no_connection(programs: Programs) -> None:
    """Each network has a loopback interface, and processes may talk there by the same ports."""
    pids = []
    for _ in range(2):
        pid, process = programs.start(program=IN_A_NETWORK)
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        if said != "up":
            pytest.skip(f"this host allows no network namespaces: {said}")
        pids.append(pid)
    assert not linked(pids, ignored_port=1)
