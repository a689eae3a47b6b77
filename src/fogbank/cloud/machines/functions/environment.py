"""One execution environment: a runtime with its folder, its log stream and its /tmp.

In: events, one at a time. Out: an `Outcome` each, and lines in the log. Its process may end (a
time-out, `os._exit`): then it is started again with the next event, in the same environment, as on
AWS; only who kills the environment from outside, or its init before it ever served, ends it for
good. Between events it is frozen. Source: "Understanding the Lambda execution environment
lifecycle" (Lambda Developer Guide).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from fogbank.cloud.machines.engine import Engine, EngineError, Exit, Instance, InstanceSpec
from fogbank.cloud.machines.functions.function_log import FunctionLog, OutputPipe
from fogbank.cloud.machines.functions.runtime_api import Answer, Event, InitError, RuntimeApi
from fogbank.cloud.records.function import FunctionVersion
from fogbank.cloud.rules import function_failures as failures
from fogbank.cloud.rules import function_lines as lines
from fogbank.core.clock import Clock, epoch_ms

log = logging.getLogger("fogbank.functions")

INIT_LIMIT_S = 10.0
"""Of an on-demand environment; a longer init is tried again under the function's own time-out."""

PROVISIONED_INIT_LIMIT_S = 130.0
"""Of a provisioned one, or the function's time-out where that is longer."""

FREEZE_AFTER_S = 0.02
"""Calls that follow each other closely find it awake: stopping and waking a process costs more than
a short call, most of all on a busy host."""

EXIT_LIMIT_S = 2.0
"""For a runtime that has said that it gives up, to do so."""

InitType = Literal["on-demand", "provisioned-concurrency"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an event ended. failed: the payload is an error's. duration_ms: what REPORT says."""

    payload: bytes
    failed: bool
    duration_ms: float


@dataclass(frozen=True, slots=True)
class _Ready:
    """The runtime asks for an event."""


@dataclass(frozen=True, slots=True)
class _TimedOut:
    """The deadline has come."""


_Moment = _Ready | InitError | _TimedOut | Answer | Exit


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentParts:
    """What an environment works with. spec: how to start its process (again),
    given the port of its Runtime API. put_away: removes its
    folder and gives back its share. notice: a line for the log after INIT_START, where there is
    something to say."""

    id: str
    version: FunctionVersion
    init_type: InitType
    engine: Engine
    clock: Clock
    log: FunctionLog
    output: OutputPipe
    address: str
    spec: Callable[[int], InstanceSpec]
    put_away: Callable[[], Awaitable[None]]
    init_line: str
    notice: str | None = None


class Environment:
    """`initialise` first; then `invoke`, one at a time; `retire` in the end.

    ended:    nothing of it runs and nothing will: the pool forgets it.
    """

    def __init__(self, parts: EnvironmentParts) -> None:
        self.id = parts.id
        self.version = parts.version
        self.init_type = parts.init_type
        self.ended = False
        self._bad_init: InitError | _TimedOut | Exit | None = None
        self._parts = parts
        self._clock = parts.clock
        self._log = parts.log
        self._api = RuntimeApi(self)
        self._instance: Instance | None = None
        self._starting = asyncio.Lock()
        self._watch: asyncio.Task[Exit] | None = None
        self._freezing: asyncio.Task[None] | None = None
        self._moment: asyncio.Future[_Moment] | None = None
        self._busy = True
        self._put_away = False
        self._port = 0
        self._request_id = ""
        self._init_ms: float | None = None
        self._max_rss_bytes = 0

    @property
    def init_error(self) -> str | None:
        """What went wrong with the last init, in AWS's words; None: nothing."""
        bad = self._bad_init
        if bad is None:
            return None
        if isinstance(bad, InitError):
            return bad.error_type
        return _exit_type(bad) if isinstance(bad, Exit) else "Sandbox.Timedout"

    @property
    def log_tail(self) -> bytes:
        """The end of what the last call wrote."""
        return self._log.tail

    # -- what the Runtime API and the engine tell ---------------------------------------------

    def ready(self) -> None:
        if self._busy:
            self._tell(_Ready())
        elif self._freezing is None:
            self._freezing = asyncio.create_task(self._freeze(), name=f"freeze {self.id}")

    def answered(self, request_id: str, answer: Answer) -> None:
        if request_id == self._request_id:
            self._tell(answer)

    def init_failed(self, error: InitError) -> None:
        self._tell(error)

    def _tell(self, moment: _Moment) -> None:
        if self._moment is not None and not self._moment.done():
            self._moment.set_result(moment)

    def _expect(self) -> None:
        """From now on the next thing that happens is kept for `_happens`: a runtime may be quicker
        than whoever is about to wait for it. Of a process that has ended, its end is that."""
        self._moment = asyncio.get_running_loop().create_future()
        if self._watch is not None and self._watch.done():
            self._tell(self._watch.result())

    async def _happens(self, limit_s: float) -> _Moment:
        """What has happened first since `_expect`, at the latest that the time is over."""
        assert self._moment is not None, "expect first"
        alarm = asyncio.create_task(self._ring(limit_s), name=f"deadline of {self.id}")
        try:
            return await self._moment
        finally:
            self._moment = None
            alarm.cancel()

    async def _ring(self, limit_s: float) -> None:
        await self._clock.sleep(limit_s)
        self._tell(_TimedOut())

    # -- init ----------------------------------------------------------------------------------

    async def initialise(self) -> None:
        """The Init phase. Afterwards it takes events, also where the init failed: then it is tried
        again with the first one. `init_error` says so. Raises EngineError, OSError: it could not
        even be started; it has ended then."""
        try:
            self._port = await self._api.start(self._parts.address)
            self._log.say(self._parts.init_line)
            if self._parts.notice is not None:
                self._log.say(self._parts.notice)
            limit_s = INIT_LIMIT_S
            if self.init_type == "provisioned-concurrency":
                limit_s = max(PROVISIONED_INIT_LIMIT_S, self.version.timeout_s)
            self._init_ms = await self._start(limit_s, "init")
        except BaseException:
            await self.retire()
            raise

    async def _start(self, limit_s: float, phase: Literal["init", "invoke"]) -> float:
        """Start the process and wait until it asks for an event; how long it took, in ms."""
        began_s = self._clock.monotonic_s()
        self._bad_init = None
        async with self._starting:  # whoever gives it up meanwhile finds the process and ends it
            self._check_not_ended()
            self._parts.output.open()
            self._expect()
            instance = await self._parts.engine.start(self._parts.spec(self._port))
            self._instance = instance
            self._watch = asyncio.create_task(
                self._watch_end(instance), name=f"end of environment {self.id}"
            )
        moment = await self._happens(limit_s - (self._clock.monotonic_s() - began_s))
        took_ms = (self._clock.monotonic_s() - began_s) * 1000
        self._check_not_ended()
        if isinstance(moment, _Ready):
            return took_ms
        assert not isinstance(moment, Answer), "an answer to no event"
        self._bad_init = moment
        await self._end_process(let_exit=isinstance(moment, InitError))
        if isinstance(moment, _TimedOut):
            self._log.say(lines.init_report(took_ms, phase, "timeout"))
        else:
            self._log.say(lines.init_report(took_ms, phase, "error", self.init_error))
        return took_ms

    def _check_not_ended(self) -> None:
        if self.ended:
            raise EngineError(f"environment {self.id} has ended")

    async def _watch_end(self, instance: Instance) -> Exit:
        ended = await instance.wait()
        self._parts.output.drain()
        self._tell(ended)
        return ended

    async def _end_process(self, *, let_exit: bool = False) -> None:
        """let_exit: it exits by itself, having something to say before. Whoever is cancelled here
        leaves the process to the next one who ends it; two at once are as good as one."""
        instance, watch = self._instance, self._watch
        if instance is None or watch is None:
            return
        if let_exit:
            killer = asyncio.create_task(self._kill_after(instance), name=f"exit of {self.id}")
            try:
                await instance.wait()
            finally:
                killer.cancel()
        else:
            await instance.kill()
        await asyncio.shield(watch)
        if self._instance is instance:
            self._note_memory(instance)
            self._instance = self._watch = None
            self._parts.output.close()

    async def _kill_after(self, instance: Instance) -> None:
        await self._clock.sleep(EXIT_LIMIT_S)
        await instance.kill()

    def _note_memory(self, instance: Instance) -> None:
        self._max_rss_bytes = max(self._max_rss_bytes, instance.usage().max_rss_bytes)

    # -- invoke --------------------------------------------------------------------------------

    async def invoke(self, request_id: str, event: Callable[[int], Event]) -> Outcome:
        """Give it an event and wait for the answer. event: makes it, given the deadline in
        milliseconds since the epoch. Raises EngineError, OSError where its process cannot be
        started; it has ended then."""
        self._busy = True
        self._request_id = request_id
        self._log.begin_call()
        began_s = self._clock.monotonic_s()
        deadline_ms = epoch_ms(self._clock.now()) + self.version.timeout_s * 1000
        init_ms, self._init_ms = self._init_ms, None
        if self.init_type == "provisioned-concurrency":
            init_ms = None  # it was not this event that waited for it
        try:
            self._check_not_ended()
            await self._wake()
            in_time = True
            while in_time and self._instance is not None and not self._api.is_waiting:
                in_time = await self._next_asked_for(self._left_s(began_s))
            if self._instance is None and in_time:
                init_ms = None
                await self._start(self._left_s(began_s), "invoke")
        except (EngineError, OSError):
            await self.retire()
            raise
        self._log.say(lines.start(request_id, self.version.version))
        failure: failures.RuntimeFailure | None = None
        answer: Answer | None = None
        if self._instance is None:
            failure = self._init_failure(request_id)
        else:
            self._expect()
            self._api.give(event(deadline_ms))
            moment = await self._happens(self._left_s(began_s))
            self._parts.output.drain()
            if isinstance(moment, Answer) and not moment.too_large:
                answer = moment
            else:
                failure = await self._failure(request_id, moment)
        duration_ms = (self._clock.monotonic_s() - began_s) * 1000
        if failure is not None and failure.error_type == "Sandbox.Timedout":
            duration_ms = self.version.timeout_s * 1000.0  # killing it is not its time
        if self._instance is not None:
            self._note_memory(self._instance)
        self._close_call(request_id, failure, duration_ms, init_ms)
        self.rest()
        if answer is not None:
            return Outcome(answer.body, answer.failed, duration_ms)
        assert failure is not None
        return Outcome(failure.payload, True, duration_ms)

    def _left_s(self, began_s: float) -> float:
        return self.version.timeout_s - (self._clock.monotonic_s() - began_s)

    async def _wake(self) -> None:
        await self._stop_freezing()
        if self._instance is not None:
            self._instance.thaw()

    async def _stop_freezing(self) -> None:
        task, self._freezing = self._freezing, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})

    async def _next_asked_for(self, limit_s: float) -> bool:
        """It has answered the last event and does not ask for the next one yet, or it has ended
        between the two (maybe after it asked); then it has to be started anew. False: the time is
        over."""
        self._expect()
        moment = await self._happens(limit_s)
        if isinstance(moment, _Ready):
            return True
        await self._end_process()
        if isinstance(moment, _TimedOut):
            self._bad_init = moment
            return False
        return True

    def _init_failure(self, request_id: str) -> failures.RuntimeFailure:
        bad = self._bad_init
        assert bad is not None, "no process, and nothing went wrong"
        if isinstance(bad, InitError):
            return failures.RuntimeFailure(bad.error_type, body=bad.body)
        if isinstance(bad, Exit):
            return _exit_failure(request_id, bad)
        return failures.timed_out(request_id, self.version.timeout_s)

    async def _failure(self, request_id: str, moment: _Moment) -> failures.RuntimeFailure:
        """The event did not end with an answer: the process is started anew with the next one."""
        if isinstance(moment, Answer):
            # Refused (413): the runtime client gives up.
            await self._end_process(let_exit=True)
            return failures.response_too_large()
        await self._end_process()
        if isinstance(moment, Exit):
            if moment.signal is not None and not moment.oom:
                self.ended = True  # somebody killed the environment: the next call gets another
            return _exit_failure(request_id, moment)
        return failures.timed_out(request_id, self.version.timeout_s)

    def _close_call(
        self,
        request_id: str,
        failure: failures.RuntimeFailure | None,
        duration_ms: float,
        init_ms: float | None,
    ) -> None:
        timed_out = failure is not None and failure.error_type == "Sandbox.Timedout"
        if failure is not None:
            words = failure.words
            if timed_out:
                now = self._clock.now()
                words = (lines.timed_out(request_id, self.version.timeout_s, now),)
            for line in words:
                self._log.say(line)
        self._log.say(lines.end(request_id))
        self._log.say(
            lines.report(
                lines.Report(
                    request_id=request_id,
                    duration_ms=duration_ms,
                    memory_mb=self.version.memory_mb,
                    max_rss_bytes=self._max_rss_bytes,
                    init_ms=init_ms,
                    timed_out=timed_out,
                    error_type=None if failure is None else failure.error_type,
                )
            )
        )

    # -- rest and end --------------------------------------------------------------------------

    def rest(self) -> None:
        """No event for now: freeze as soon as the runtime asks for the next one."""
        self._busy = False
        if self._api.is_waiting and not self.ended:
            self.ready()

    async def _freeze(self) -> None:
        await self._clock.sleep(FREEZE_AFTER_S)
        if self._instance is None:
            return
        try:
            await self._instance.freeze()
        except EngineError as error:
            log.warning("environment %s is not frozen: %s", self.id, error)

    async def retire(self) -> None:
        """End it, whatever it does; may be called twice."""
        self.ended = True
        if self._put_away:
            return
        self._put_away = True
        await self._stop_freezing()
        async with self._starting:
            await self._end_process()
        self._api.close()
        self._parts.output.close()
        self._log.flush()
        await self._parts.put_away()


def _exit_failure(request_id: str, ended: Exit) -> failures.RuntimeFailure:
    return failures.exited(request_id, code=ended.code, signal_number=ended.signal, oom=ended.oom)


def _exit_type(ended: Exit) -> str:
    return "Runtime.OutOfMemory" if ended.oom else "Runtime.ExitError"
