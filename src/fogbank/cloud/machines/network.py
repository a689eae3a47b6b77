"""Networks of jobs: made by a process of their own, entered by instances.

In: a NetworkSpec. Out: see `engine.Network`. What the process does is told in `job_network.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from fogbank.cloud.machines.companion import start_companion
from fogbank.cloud.machines.engine import EngineError, NetworkSpec

Links = Literal["veth", "loopback"]
"""How the instances of a job are connected, see `job_network.py`."""

_PACKAGES = str(Path(__file__).resolve().parents[3])
_RUN = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from fogbank.cloud.machines.job_network import main; main(int(sys.argv[2]))"
)
_FIRST = IPv4Address("10.77.0.1")
_MAX_HOSTS = 65534
_HOSTS = "hosts"
_LOCAL = "127.0.0.1"
_BASE = f"{_LOCAL}\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
_PROXIED = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")


class JobNetwork:
    """See `engine.Network`. Made by `open_network`."""

    def __init__(
        self,
        spec: NetworkSpec,
        links: Links,
        process: asyncio.subprocess.Process,
        control: asyncio.StreamWriter,
        ready: Mapping[str, Any],
    ) -> None:
        self.spec = spec
        self.interface = "eth0" if links == "veth" else "lo"
        self.addresses = _addresses(spec)
        self.hosts_file = spec.folder / _HOSTS
        self._process = process
        self._control = control
        self._ready = ready

    @property
    def variables(self) -> Mapping[str, str]:
        port = self._ready["proxy"]
        if port is None:
            return {}
        inside = ",".join([_LOCAL, "localhost", *self.spec.host_names, *self.addresses])
        return {
            **dict.fromkeys(_PROXIED, f"http://{_LOCAL}:{port}"),
            **dict.fromkeys(("no_proxy", "NO_PROXY"), inside),
        }

    @property
    def is_closed(self) -> bool:
        return self._control.is_closing()

    def entrance(self, number: int) -> dict[str, str]:
        """By what `enter.py` puts instance `number` into it."""
        descriptors = f"/proc/{self._process.pid}/fd"
        return {
            "user": f"{descriptors}/{self._ready['user']}",
            "net": f"{descriptors}/{self._ready['net'][number]}",
            "host_name": self.spec.host_names[number],
        }

    async def close(self) -> None:
        self._control.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


async def open_network(
    spec: NetworkSpec, links: Links, environment: Mapping[str, str]
) -> JobNetwork:
    """Make it. environment: the host's, for the proxies that lead out of it. Raises EngineError
    where it cannot be made; then nothing of it is left."""
    if len(spec.host_names) > _MAX_HOSTS:
        raise EngineError(f"{spec.name}: more than {_MAX_HOSTS} instances")
    order = {
        "links": links,
        "addresses": [f"{address}/16" for address in _addresses(spec)],
        "cloud": _end_of(spec.cloud_url),
        "proxy": spec.outside,
        "environment": {k: v for k, v in environment.items() if k.lower().endswith("_proxy")},
    }
    (spec.folder / _HOSTS).write_text(_hosts(spec))
    companion = await start_companion(spec.name, spec.folder, "-c", _RUN, _PACKAGES)
    try:
        ready = await companion.order(order)
        if ready.get("event") != "ready":
            raise EngineError(f"{spec.name}: no network of its own: {ready['message']}")
    except BaseException:
        await companion.give_up()
        raise
    return JobNetwork(spec, links, companion.process, companion.commands, ready)


def _addresses(spec: NetworkSpec) -> tuple[str, ...]:
    return tuple(str(_FIRST + number) for number in range(len(spec.host_names)))


def _end_of(url: str | None) -> tuple[str, int] | None:
    """Address and port of the cloud inside, which are those outside; a name gets 127.0.0.1."""
    if url is None:
        return None
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return (parts.hostname if _is_address(parts.hostname) else _LOCAL), parts.port


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _hosts(spec: NetworkSpec) -> str:
    """/etc/hosts of every instance."""
    lines = [
        f"{address}\t{name}\n"
        for address, name in zip(_addresses(spec), spec.host_names, strict=True)
    ]
    host = urlsplit(spec.cloud_url or "").hostname
    if host is not None and not _is_address(host) and host != "localhost":
        lines.append(f"{_LOCAL}\t{host}\n")
    return _BASE + "".join(lines)
