"""The host's processors and memory, shared out among instances. `allocate` decides, pure;
`Shares` remembers who has what.

Nothing waits for a share: an endpoint holds its own for as long as it lives, and on a small host a
job that waited for it would wait for ever. Instead shares overlap where they must. Processors are
time-shared by the kernel anyway; memory is never promised below a quarter of the host.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import count

from fogbank.cloud.machines.engine import Share

GIB = 2**30

_SMALL_SIZES = {"nano": 2, "micro": 2, "small": 2, "medium": 2, "large": 2, "xlarge": 4}
_GIB_PER_VCPU = {"c": 2.0, "m": 4.0, "g": 4.0, "r": 8.0, "x": 16.0, "p": 8.0, "t": 4.0}
_SMALL_GIB = {"nano": 0.5, "micro": 1.0, "small": 2.0, "medium": 4.0}


@dataclass(frozen=True, slots=True)
class Host:
    """cpus: the logical CPUs that may be used. memory_bytes: what all instances may use together
    (the host's memory without what the cloud and the system keep)."""

    cpus: tuple[int, ...]
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Demand:
    """What an instance type promises: virtual CPUs and memory."""

    num_vcpus: int
    memory_bytes: int


def this_host() -> Host:
    """The machine that we run on, less 1 GiB (or an eighth, on small ones) for cloud and system."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Host(tuple(sorted(os.sched_getaffinity(0))), total - min(GIB, total // 8))


def demand_of(instance_type: str) -> Demand:
    """vCPUs and memory of an instance type by EC2's naming scheme: a size doubles vCPUs (large 2,
    xlarge 4, Nxlarge 4N), the family's letter sets GiB per vCPU (c 2, m 4, r 8).

    Right for c, m and r families; an estimate for accelerated ones. `local` or anything without a
    size asks for the whole host. Source: EC2 user guide, instance type naming conventions.
    """
    parts = instance_type.removeprefix("ml.").split(".")
    if len(parts) != 2 or not parts[0]:
        return Demand(1 << 20, 1 << 60)
    family, size = parts
    if size in _SMALL_SIZES:
        num_vcpus = _SMALL_SIZES[size]
    elif size.endswith("xlarge") and size.removesuffix("xlarge").isdigit():
        num_vcpus = 4 * int(size.removesuffix("xlarge"))
    else:
        return Demand(1 << 20, 1 << 60)
    gib = _SMALL_GIB.get(size, num_vcpus * _GIB_PER_VCPU.get(family[0], 4.0))
    return Demand(num_vcpus, int(gib * GIB))


def allocate(
    host: Host, running: Iterable[Share], demand: Demand, num_instances: int = 1
) -> tuple[Share, ...]:
    """Shares for `num_instances` equal instances that start together, beside those that run.

    Each gets min(demand, host / num_instances) CPUs, at least one: those with the fewest instances
    on them. Memory: min(demand, what is left / num_instances), but never less than a quarter of
    the host divided by num_instances, so that a full host still starts small programs.
    """
    running = tuple(running)
    num_cpus = max(1, min(demand.num_vcpus, len(host.cpus) // num_instances))
    left = host.memory_bytes - sum(share.memory_bytes for share in running)
    memory = min(demand.memory_bytes, max(left, host.memory_bytes // 4) // num_instances)
    load = Counter(dict.fromkeys(host.cpus, 0))
    load.update(cpu for share in running for cpu in share.cpus if cpu in load)
    shares: list[Share] = []
    for _ in range(num_instances):
        cpus = tuple(sorted(sorted(host.cpus, key=lambda cpu: (load[cpu], cpu))[:num_cpus]))
        load.update(cpus)
        shares.append(Share(cpus, memory))
    return tuple(shares)


class Lease:
    """A share and a loopback address, held until `release` (which may be called twice)."""

    def __init__(self, shares: Shares, share: Share, address: str) -> None:
        self.share = share
        self.address = address
        self._shares = shares

    def release(self) -> None:
        self._shares.give_back(self)


class Shares:
    """Who has what of the host. One for a cloud; training and hosting take from the same.

    network: the middle two numbers of the addresses that are given out (127.x.y.n) as one: clouds
             that run side by side on one host have different ports, and those will do.
    """

    def __init__(self, host: Host, *, network: int = 77 << 8) -> None:
        self.host = host
        self._network = network
        self._leases: dict[str, Lease] = {}

    def lease(self, demand: Demand, num_instances: int = 1) -> tuple[Lease, ...]:
        """Shares for instances that start together, each with an address that is its own."""
        running = [lease.share for lease in self._leases.values()]
        leases: list[Lease] = []
        for share in allocate(self.host, running, demand, num_instances):
            lease = Lease(self, share, self._free_address())
            self._leases[lease.address] = lease
            leases.append(lease)
        return tuple(leases)

    @property
    def num_leases(self) -> int:
        """How many instances hold a share now."""
        return len(self._leases)

    def give_back(self, lease: Lease) -> None:
        """What `Lease.release` calls."""
        if self._leases.get(lease.address) is lease:
            del self._leases[lease.address]

    def _free_address(self) -> str:
        first = int(IPv4Address("127.0.0.1")) + (self._network << 8)
        return next(
            address
            for number in count(first)
            if (address := str(IPv4Address(number))) not in self._leases
        )
