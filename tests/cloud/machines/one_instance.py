"""A cloud of one instance, for the test that kills it: prints the instance's process, waits."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from fogbank.cloud.machines.engine import Attachment, InstanceSpec, NetworkSpec, Share
from fogbank.cloud.machines.process import Namespaces, ProcessEngine
from fogbank.core.clock import SystemClock


async def main(folder: Path, links: str, marker: str) -> None:
    namespaces = {
        "process": None,
        "mounts": Namespaces(None),
        "veth": Namespaces("veth"),
        "loopback": Namespaces("loopback"),
    }[links]
    engine = ProcessEngine(SystemClock(), os.environ, namespaces)
    attachment = None
    if engine.can_network:
        network = await engine.open_network(
            NetworkSpec(
                name="orphan",
                folder=folder,
                host_names=("algo-1",),
                cloud_url="http://127.0.0.1:4566",
                outside=True,
            )
        )
        attachment = Attachment(network, 0)
    instance = await engine.start(
        InstanceSpec(
            name="orphan",
            folder=folder,
            base=folder / "ml",
            argv=("/bin/sh", "-c", f"setsid sleep {marker} & sleep {marker}"),
            env={},
            cwd=folder / "ml",
            share=Share((0,), 1 << 30),
            address="127.0.0.1",
            output=lambda _: None,
            attachment=attachment,
        )
    )
    print(instance.pid, flush=True)
    await instance.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
