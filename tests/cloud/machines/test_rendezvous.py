"""A port that one job has, and nobody else."""

from __future__ import annotations

import socket

import pytest

from fogbank.cloud.machines.rendezvous import reserve


def store(port: int) -> socket.socket:
    """A server as torch's store makes one: on every interface, with SO_REUSEADDR."""
    return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)


def test_jobs_at_once_have_ports_of_their_own() -> None:
    held = [reserve("127.77.0.1") for _ in range(50)]
    assert len({each.port for each in held}) == 50
    for each in held:
        each.release()


def test_the_variables_of_the_training_image() -> None:
    held = reserve("127.77.0.9")
    assert held.variables == {
        "FOGBANK_MASTER_ADDR": "127.77.0.9",
        "FOGBANK_MASTER_PORT": str(held.port),
    }
    held.release()
    held.release()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this host has no IPv6")
def test_the_store_can_listen_and_be_reached_while_the_port_is_held() -> None:
    held = reserve("127.77.0.1")
    with (
        store(held.port) as server,
        socket.create_connection((held.address, held.port), timeout=5) as client,
        server.accept()[0] as accepted,
    ):
        accepted.sendall(b"rank 0")
        assert client.recv(6) == b"rank 0"
    held.release()


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_nobody_else_gets_a_port_that_is_held(address: str) -> None:
    held = reserve("127.77.0.1")
    with socket.socket() as other, pytest.raises(OSError, match="already in use"):
        other.bind((address, held.port))
    held.release()
    with socket.socket() as other:
        other.bind((address, held.port))
