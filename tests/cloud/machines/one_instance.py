"""A cloud of one instance, for the test that kills it: prints the instance's process, waits."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from fogbank.cloud.machines.engine import InstanceSpec, Share
from fogbank.cloud.machines.process import ProcessEngine
from fogbank.core.clock import SystemClock


async def main(folder: Path, can_mount: bool, marker: str) -> None:
    engine = ProcessEngine(SystemClock(), os.environ, can_mount=can_mount)
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
        )
    )
    print(instance.pid, flush=True)
    await instance.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), bool(int(sys.argv[2])), sys.argv[3]))
