"""Where the instances of a job meet, and whether they reach anything else.

In: a TrainingJob, an engine, the addresses that were leased. Out: a Meeting, kept until it is
closed. A job with several instances, or with EnableNetworkIsolation, gets a network of its own
where the engine has them: algo-1, port 7777 and eth0 mean there what they mean on SageMaker. All
other jobs stay on the host's network, where addresses and a port are held for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fogbank.cloud.machines import rendezvous
from fogbank.cloud.machines.engine import Attachment, Engine, Network, NetworkSpec
from fogbank.cloud.machines.opt_ml import host_name
from fogbank.cloud.machines.rendezvous import Rendezvous
from fogbank.cloud.records.training_job import TrainingJob

MASTER_PORT = 7777
"""Where process groups meet on SageMaker."""


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """addresses: those of the instances, in order.
    interface: the network interface that has them.
    port:      where the process group's store listens, at the first address.
    variables: what the programs are told of it.
    """

    addresses: tuple[str, ...]
    interface: str
    port: int
    variables: Mapping[str, str]
    network: Network | None = None
    rendezvous: Rendezvous | None = None

    def attachment(self, number: int) -> Attachment | None:
        """Instance number `number`'s place in the network, where there is one."""
        return None if self.network is None else Attachment(self.network, number)

    async def close(self) -> None:
        """When the instances have ended. May be called twice."""
        if self.network is not None:
            await self.network.close()
        if self.rendezvous is not None:
            self.rendezvous.release()


def is_isolated(job: TrainingJob) -> bool:
    """Whether the instances may reach each other and nothing else, not even S3, and get no
    credentials (developer guide, "Run Training and Inference Containers in Internet-Free Mode")."""
    return bool(job.request.get("EnableNetworkIsolation"))


async def open_meeting(
    job: TrainingJob, engine: Engine, folder: Path, addresses: Sequence[str], cloud_url: str
) -> Meeting:
    """addresses: what each instance may have on the host's network. folder: the job's.
    Raises EngineError or OSError where there is no place."""
    several = len(addresses) > 1
    if engine.can_network and (several or is_isolated(job)):
        network = await engine.open_network(
            NetworkSpec(
                name=f"training/{job.name}",
                folder=folder,
                host_names=tuple(host_name(number) for number in range(len(addresses))),
                cloud_url=None if is_isolated(job) else cloud_url,
                outside=not is_isolated(job),
            )
        )
        return Meeting(
            addresses=network.addresses,
            interface=network.interface,
            port=MASTER_PORT,
            variables=_gloo(network.interface),
            network=network,
        )
    # For a single instance too: its script may start a group of several processes.
    held = rendezvous.reserve(addresses[0])
    return Meeting(
        addresses=tuple(addresses),
        interface="lo",
        port=held.port,
        variables={**held.variables, **_gloo("lo")},
        rendezvous=held,
    )


def _gloo(interface: str) -> dict[str, str]:
    """Without it gloo listens on what the host's name resolves to, which may be nothing."""
    return {"GLOO_SOCKET_IFNAME": interface}
