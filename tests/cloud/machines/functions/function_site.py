"""A cloud around Functions, in memory: what tests of functions need.

The engine is the test's choice: a real one, or the fake one with a runtime that a test plays.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import Any

from cloud.machines.training_site import ROLE, FolderObjects, MemoryLogs, MemoryMetrics, OneRole
from fogbank.cloud.machines.engine import Engine
from fogbank.cloud.machines.functions.functions import Functions
from fogbank.cloud.machines.image_map import ImageMap
from fogbank.cloud.machines.shares import Host, Shares
from fogbank.cloud.machines.site import Site
from fogbank.cloud.ports import FunctionCall, FunctionResult
from fogbank.cloud.records.function import (
    LATEST,
    Alias,
    Function,
    FunctionVersion,
    ProvisionedConcurrency,
    QueuedEvent,
)
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.records import SqliteRecords
from fogbank.core.arn import Scope
from fogbank.core.clock import Clock

LIMIT_S = 30.0


class FolderCode:
    """A code store whose zips are folders already. `broken` digests cannot be unpacked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.broken: set[str] = set()

    def add(self, files: Mapping[str, str]) -> str:
        digest = hashlib.sha256(json.dumps(files).encode()).digest()
        place = self._folder / digest.hex()
        for name, text in files.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        return base64.b64encode(digest).decode()

    async def put(self, archive: bytes | Path) -> tuple[str, int]:
        raise AssertionError("machines store no code")

    def archive(self, code_sha256: str) -> Path:
        raise AssertionError("machines read no zip")

    def unpacked_bytes(self, code_sha256: str) -> int:
        raise AssertionError("machines ask for no size")

    async def folder(self, code_sha256: str) -> Path:
        if code_sha256 in self.broken:
            raise ValueError("the zip has a name that leads outside")
        place = self._folder / base64.b64decode(code_sha256).hex()
        if not place.is_dir():
            raise LookupError(code_sha256)
        return place


class FunctionSite:
    """home: its folder. Call `start` on a running event loop, and `stop`."""

    def __init__(
        self,
        home: Path,
        clock: Clock,
        engine: Engine,
        *,
        account_limit: int = 1000,
        idle_limit_s: float = 300.0,
        network: int = 66 << 8,
    ) -> None:
        self.home = home
        self.clock = clock
        self.engine = engine
        home.mkdir(parents=True, exist_ok=True)
        self.records = SqliteRecords(Database(home / "records.db"))
        self.metrics = MemoryMetrics()
        self.logs = MemoryLogs()
        self.objects = FolderObjects(home / "objects", clock)
        self.code = FolderCode(home / "functions" / "unpacked")
        self.scope = Scope()
        self.site = Site(
            engine=engine,
            objects=self.objects,
            logs=self.logs,
            keyring=OneRole(),
            clock=clock,
            shares=Shares(Host((0, 1), 8 << 30), network=network),
            images=ImageMap(),
            home=home,
            endpoint_url="http://127.0.0.1:1",
            scope=self.scope,
            strategy="copy",
        )
        self._limits: dict[str, Any] = {
            "account_limit": account_limit,
            "idle_limit_s": idle_limit_s,
        }
        self.functions = self.restarted()
        self._numbers = count(1)

    def restarted(self) -> Functions:
        """Functions of a cloud that was started (again) with the same home."""
        return Functions(
            self.records,
            self.metrics,
            self.code,
            self.site,
            role_exists=lambda arn: arn == ROLE,
            **self._limits,
        )

    async def start(self) -> None:
        await self.functions.start()

    async def stop(self) -> None:
        await self.functions.stop()
        await self.engine.stop()

    # -- what the service would write ------------------------------------------------------------

    def create(
        self,
        name: str,
        code: str | Mapping[str, str],
        *,
        reserved: int | None = None,
        version: str = LATEST,
        **settings: Any,
    ) -> FunctionVersion:
        """A function, or another version of one, with one file `app.py`."""
        files = {"app.py": code} if isinstance(code, str) else code
        arn = self.scope.arn("lambda", f"function:{name}")
        if self.records.get(Function, name) is None:
            self.records.put(
                Function(
                    name=name, arn=arn, created=self.clock.now(), reserved_concurrency=reserved
                )
            )
        made = FunctionVersion(
            **{
                "function": name,
                "version": version,
                "arn": arn if version == LATEST else f"{arn}:{version}",
                "runtime": "python3.11",
                "handler": "app.handler",
                "role_arn": ROLE,
                "code_sha256": self.code.add(files),
                "code_size_bytes": 1,
                "timeout_s": 3,
                "memory_mb": 128,
                "ephemeral_storage_mb": 512,
                "modified": self.clock.now(),
                "revision_id": f"revision-{next(self._numbers)}",
                "state": "Active",
                **settings,
            }
        )
        self.records.put(made)
        return made

    def alias(self, function: str, name: str, version: str, **weights: float) -> Alias:
        made = Alias(
            function=function,
            name=name,
            arn=self.scope.arn("lambda", f"function:{function}:{name}"),
            version=version,
            weights={number.removeprefix("v"): weight for number, weight in weights.items()},
            revision_id=f"revision-{next(self._numbers)}",
        )
        self.records.put(made)
        return made

    def provision(self, function: str, qualifier: str, requested: int) -> None:
        self.records.put(
            ProvisionedConcurrency(
                function=function,
                qualifier=qualifier,
                requested=requested,
                modified=self.clock.now(),
            )
        )

    def provisioned(self, function: str, qualifier: str) -> ProvisionedConcurrency:
        found = self.records.get(ProvisionedConcurrency, f"{function}:{qualifier}")
        assert found is not None
        return found

    def reserve(self, function: str, reserved: int | None) -> None:
        found = self.records.get(Function, function)
        assert found is not None
        self.records.put(replace(found, reserved_concurrency=reserved))

    def queue(self, function: str, payload: Any = None, qualifier: str = "") -> QueuedEvent:
        now = self.clock.now()
        event = QueuedEvent(
            request_id=f"event-{next(self._numbers)}",
            function=function,
            qualifier=qualifier,
            payload=json.dumps(payload),
            accepted=now,
            due=now,
        )
        self.records.put(event)
        return event

    # -- calls -----------------------------------------------------------------------------------

    async def invoke(
        self,
        function: str,
        payload: Any = None,
        *,
        version: str = LATEST,
        qualifier: str = "",
        client_context: str | None = None,
    ) -> FunctionResult:
        return await self.functions.call(
            FunctionCall(
                function=function,
                version=version,
                qualifier=qualifier,
                payload=json.dumps(payload).encode(),
                request_id=f"call-{next(self._numbers)}",
                client_context=client_context,
            )
        )

    async def answer(self, function: str, payload: Any = None, **how: Any) -> Any:
        """The decoded answer of a call that succeeds."""
        result = await self.invoke(function, payload, **how)
        assert result.error is None, result.payload
        return json.loads(result.payload)

    async def failure(self, function: str, payload: Any = None, **how: Any) -> dict[str, Any]:
        """The decoded error of a call that fails."""
        result = await self.invoke(function, payload, **how)
        assert result.error == "Unhandled", result.payload
        found: dict[str, Any] = json.loads(result.payload)
        return found

    @property
    def folders(self) -> list[Path]:
        """Those of environments."""
        return sorted((self.home / "instances" / "functions").iterdir())

    def metric(self, name: str, **dimensions: str) -> list[float]:
        """Every value recorded with exactly those dimensions."""
        return [
            datum.value * datum.count
            for namespace, datum in self.metrics.data
            if (namespace, datum.name) == ("AWS/Lambda", name)
            and dict(datum.dimensions) == dimensions
        ]


async def until(probe: Any, what: str, limit_s: float = LIMIT_S) -> Any:
    """Wait until `probe()` is true; its value."""
    async with asyncio.timeout(limit_s):
        while not (found := probe()):  # noqa: ASYNC110 - a process in the world sets no event
            await asyncio.sleep(0.005)
    return found
