"""Which engine this host allows: found out by trying.

In: what was asked for (FOGBANK_ENGINE). Out: an engine, and a reason for `fogbank cloud status`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fogbank.cloud.machines.engine import (
    Attachment,
    EngineError,
    InstanceSpec,
    NetworkSpec,
    Share,
    View,
)
from fogbank.cloud.machines.network import Links
from fogbank.cloud.machines.process import Namespaces, ProcessEngine
from fogbank.core.clock import Clock
from fogbank.core.errors import InputError

CHOICES = ("auto", "namespace", "process")
_LINKS: tuple[tuple[Links, str], ...] = (
    ("veth", "every instance of a job with several has an interface and ports of its own"),
    ("loopback", "the instances of a job share a loopback interface that is the job's own"),
)


async def choose_engine(
    wanted: str, clock: Clock, environment: Mapping[str, str], folder: Path
) -> tuple[ProcessEngine, str]:
    """The engine that is wanted, or the best for `auto`, and why; tried out below `folder`.

    Raises InputError for a name that there is not, and where `namespace` is impossible.
    """
    if wanted not in CHOICES:
        raise InputError(
            f"FOGBANK_ENGINE is {wanted!r}, which is no engine: choose one of {', '.join(CHOICES)}"
        )
    if wanted == "process":
        return ProcessEngine(clock, environment, None), "asked for by FOGBANK_ENGINE"
    found, reason = await find_namespaces(clock, folder)
    if found is None and wanted == "namespace":
        raise InputError(
            f"FOGBANK_ENGINE asks for namespaces, but {reason}. Choose auto or process."
        )
    return ProcessEngine(clock, environment, found), reason


async def find_namespaces(clock: Clock, folder: Path) -> tuple[Namespaces | None, str]:
    """What instances on this host can have, and why nothing or not more."""
    refused: list[str] = []
    for links, meaning in _LINKS:
        trouble = await _trouble(Namespaces(links), clock, folder)
        if trouble is None:
            why = "".join(f"; {one}" for one in refused)
            return Namespaces(links), f"user, mount and network namespaces work: {meaning}{why}"
        refused.append(f"{links}: {trouble}")
    trouble = await _trouble(Namespaces(None), clock, folder)
    if trouble is None:
        return Namespaces(None), (
            "user and mount namespaces work; instances of a job share the host's network, because "
            f"networks of their own do not: {'; '.join(refused)}"
        )
    return None, f"user namespaces do not work here: {trouble}"


async def _trouble(namespaces: Namespaces, clock: Clock, folder: Path) -> str | None:
    """Why an instance with everything cannot be on this host; None where it can."""
    engine = ProcessEngine(clock, os.environ, namespaces)
    with tempfile.TemporaryDirectory(dir=folder, prefix="probe-") as name:
        home = Path(name).resolve()
        try:
            return await _try(engine, home)
        except EngineError as error:
            return str(error)
        finally:
            await engine.stop()


async def _try(engine: ProcessEngine, home: Path) -> str | None:
    base, source, scratch = home / "i" / "base", home / "i" / "tree", home / "i" / "scratch"
    for path in (base / "data", source, scratch, home / "secret"):
        path.mkdir(parents=True)
    (source / "object").write_text("object")
    attachment = None
    script = f"cat data/object && echo x > data/object && test ! -e {home}/secret"
    if engine.can_network:
        network = await engine.open_network(
            NetworkSpec(
                name="probe",
                folder=home,
                host_names=("algo-1", "algo-2"),
                cloud_url=None,
                outside=False,
            )
        )
        attachment = Attachment(network, 1)
        script += " && grep -q algo-2 /etc/hosts"
    end = await (
        await engine.start(
            InstanceSpec(
                name="probe",
                folder=home / "i",
                base=base,
                argv=("/bin/sh", "-c", script),
                env={},
                cwd=base,
                share=Share((min(os.sched_getaffinity(0)),), 1 << 30),
                address="127.0.0.1",
                output=lambda _: None,
                views=(View(source, base / "data", scratch),),
                hidden=(home,),
                attachment=attachment,
            )
        )
    ).wait()
    if end.ok and (source / "object").read_text() == "object":
        return None
    return f"a probe ended with {end}"
