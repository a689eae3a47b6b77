"""What an endpoint sustains: rising rates until its answers come too late. -> rounds, the best.

`next_rate` and `judge` decide, `measure` asks. The method is AWS's: raise the load on one instance
until latency rises or successes fall (SageMaker developer guide, "Load testing your auto scaling
configuration"). Requests come evenly here, so that a second run finds the same; that real ones come
in bunches is what AWS's safety factor is for.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fogbank.core.clock import Clock
from fogbank.ops.load.generator import NOT_SENT, OK, Sample, Send, generate
from fogbank.ops.load.profile import arrivals, shape
from fogbank.ops.load.record import Latency

MIN_ROUND_S, MAX_ROUND_S, NUM_WANTED, NUM_NEEDED = 4.0, 10.0, 20, 5
"""A round has NUM_WANTED requests if that fits into its time, and takes longer for fewer than
NUM_NEEDED only."""

NUM_ALONE = 5
"""Requests one after the other at first: they warm the model, and say where to begin."""

FIRST_SHARE = 0.25
"""Of the rate at which one request after the other would keep an instance busy."""

LOWEST_SHARE = 1 / 8
"""Of the first rate: where that is too much still, something else is wrong than the load."""

CLOSE_ENOUGH = 1.2
"""The lowest rate that was too much is no more than so many times the best: from a doubling, two
rates in between are tried (2, 1.41, 1.19)."""

MAX_GROWTH = 0.05
"""Seconds of latency that a second of load may add. An instance that gets 10 requests a second and
answers 9 falls back 0.1 s in each: its p90 would be within the limit for some time."""

MAX_LATE_SHARE = 0.2
"""Of the limit, lost before the sending: then this machine is what is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One rate for some seconds. too_much: what was wrong with it; "" where it was sustained."""

    rate_per_s: float
    num_requests: int
    p50_ms: float | None
    p90_ms: float | None
    too_much: str


def next_rate(rounds: Sequence[Round], first_per_s: float, max_per_s: float) -> float | None:
    """The rate to try now; None when enough is known. Doubles until it is too much, halves until
    it is not, then goes half the way (of the ratio) in between."""
    if not rounds:
        return min(first_per_s, max_per_s)
    good = [each.rate_per_s for each in rounds if not each.too_much]
    bad = [each.rate_per_s for each in rounds if each.too_much]
    if not bad:
        best = max(good)
        return None if best >= max_per_s else min(best * 2, max_per_s)
    if not good:
        lower = min(bad) / 2
        return lower if lower >= first_per_s * LOWEST_SHARE else None
    low, high = max(good), min(bad)
    return None if high / low <= CLOSE_ENOUGH else (high * low) ** 0.5


def round_duration_s(rate_per_s: float) -> float:
    longest_s = max(MAX_ROUND_S, NUM_NEEDED / rate_per_s)
    return min(max(NUM_WANTED / rate_per_s, MIN_ROUND_S), longest_s)


def judge(samples: Sequence[Sample], rate_per_s: float, latency_limit_ms: float) -> Round:
    """Whether that rate was sustained."""
    latency = Latency.of(samples)
    return Round(
        rate_per_s=rate_per_s,
        num_requests=len(samples),
        p50_ms=latency.p50_ms,
        p90_ms=latency.p90_ms,
        too_much=_too_much(samples, latency, latency_limit_ms),
    )


def _too_much(samples: Sequence[Sample], latency: Latency, limit_ms: float) -> str:
    errors = Counter(sample.error for sample in samples if sample.error != OK)
    if errors[NOT_SENT]:
        return f"{errors[NOT_SENT]} requests could not be sent: too many waited for an answer"
    if errors:
        code, number = errors.most_common(1)[0]
        return f"{number} of {len(samples)} failed ({code})"
    if latency.p90_ms is None:
        return "nothing was answered"
    if latency.p90_ms > limit_ms:
        late_s = statistics.median(sample.latency_s - sample.service_s for sample in samples)
        if late_s * 1000 > limit_ms * MAX_LATE_SHARE:
            return f"this machine could not send so many a second ({late_s * 1000:.0f} ms late)"
        return f"p90 is above {limit_ms:g} ms"
    growth = _growth(samples)
    if growth > MAX_GROWTH:
        return f"latency grew by {growth * 1000:.0f} ms a second"
    return ""


def _growth(samples: Sequence[Sample]) -> float:
    """Of latency over time, least squares: robust against one late answer, as a difference of
    first and last would not be."""
    if len(samples) < NUM_NEEDED:
        return 0.0
    line = statistics.linear_regression(
        [sample.due_s for sample in samples], [sample.latency_s for sample in samples]
    )
    return line.slope


async def measure(
    send: Send,
    clock: Clock,
    *,
    latency_limit_ms: float,
    max_per_s: float,
    done: Callable[[Round], None],
) -> list[Round]:
    """Every round, in order; empty where not even single requests were answered without an error.
    Where one alone takes too long, that is the only round.

    done: called with each round.
    """
    alone_s = await _alone_s(send, clock)
    rounds: list[Round] = []
    if alone_s is None:
        return rounds
    if alone_s * 1000 > latency_limit_ms:
        rounds.append(_too_slow(alone_s))
        done(rounds[-1])
        return rounds
    first_per_s = FIRST_SHARE / max(alone_s, 1e-3)
    while (rate_per_s := next_rate(rounds, first_per_s, max_per_s)) is not None:
        samples: list[Sample] = []
        load = shape("constant", rate_per_s, None, round_duration_s(rate_per_s))
        await generate(arrivals(load, seed=0, evenly=True), send, clock, done=samples.append)
        rounds.append(judge(samples, rate_per_s, latency_limit_ms))
        done(rounds[-1])
    return rounds


async def _alone_s(send: Send, clock: Clock) -> float | None:
    """What one request after the other takes, the median; None where one fails."""
    times_s: list[float] = []
    for _ in range(NUM_ALONE):
        begin_s = clock.monotonic_s()
        if await send() != OK:
            return None
        times_s.append(clock.monotonic_s() - begin_s)
    return statistics.median(times_s)


def _too_slow(alone_s: float) -> Round:
    return Round(
        rate_per_s=1 / alone_s,
        num_requests=NUM_ALONE,
        p50_ms=round(alone_s * 1000, 3),
        p90_ms=None,
        too_much=f"one request alone takes {alone_s * 1000:.0f} ms",
    )


def best(rounds: Sequence[Round]) -> Round | None:
    """The highest rate that was sustained."""
    good = [each for each in rounds if not each.too_much]
    return max(good, key=lambda each: each.rate_per_s, default=None)
