"""Which running trials are not worth their time: values of the objective -> a reason to stop.

A value is one report of a trial, usually an epoch's. A trial is stopped only at a report beyond
which others have gone on: after its last report a script still has to save its model.
Sources: developer guide, "Stop Training Jobs Early" (the median rule, after Golovin et al.,
"Google Vizier", 2017); Li et al., "A System for Massively Parallel Hyperparameter Tuning" (2020)
for successive halving without waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from fogbank.cloud.rules.tuning_settings import Hyperband

MIN_CURVES = 3
"""Trials that must have gone as far before another is measured against their median: of one or two
the median says little. AWS does not say how many it waits for."""

HALVING = 3
"""One in so many trials goes on to the next rung, which is so many times further."""

Curve = Sequence[float]
"""The objective of one trial, report by report."""


def below_the_median(curve: Curve, finished: Sequence[Curve], *, maximize: bool) -> str | None:
    """The median rule: why the trial should stop, or None.

    finished: curves of the trials that have ended. The trial is measured at its last report, or at
    the last one that enough of the others had: a fast script is far ahead when it is looked at.
    """
    lengths = sorted(map(len, finished), reverse=True)
    if not curve or len(lengths) < MIN_CURVES:
        return None
    report = min(len(curve), lengths[MIN_CURVES - 1])
    has_gone_on = len(curve) > report or lengths[MIN_CURVES - 1] > report
    if report == 0 or not has_gone_on:
        return None
    averages = [fmean(other[:report]) for other in finished if len(other) >= report]
    value, typical = curve[report - 1], median(averages)
    if value < typical if maximize else value > typical:
        return (
            f"its objective {value:g} at report {report} is worse than the median {typical:g} of "
            f"the running averages of {len(averages)} earlier trials"
        )
    return None


def falls_behind(
    curve: Curve, others: Sequence[Curve], hyperband: Hyperband, *, maximize: bool
) -> str | None:
    """Successive halving: why the trial should stop, or None.

    Rungs are at MinResource, three times that, and so on, below MaxResource. At the last rung that
    it has reached a trial has to be among the best third of those that have reached it as well.
    others: curves of all other trials, running ones too.
    """
    if len(curve) > hyperband.max_resource:
        return f"it has gone beyond MaxResource ({hyperband.max_resource})"
    rung = _rung(len(curve), hyperband)
    if rung is None:
        return None
    value = curve[rung - 1]
    rivals = [other[rung - 1] for other in others if len(other) >= rung]
    if not any(len(other) > rung for other in others) and len(curve) == rung:
        return None  # nobody has shown that there is more to come
    num_going_on = max(1, (len(rivals) + 1) // HALVING)
    num_better = sum(rival > value if maximize else rival < value for rival in rivals)
    if len(rivals) + 1 < HALVING or num_better < num_going_on:
        return None
    return (
        f"its objective {value:g} at report {rung} is not among the best {num_going_on} of "
        f"{len(rivals) + 1} trials"
    )


def _rung(num_reports: int, hyperband: Hyperband) -> int | None:
    """The last rung that is reached; None below the first one and at the end."""
    if not hyperband.min_resource <= num_reports < hyperband.max_resource:
        return None
    rung = hyperband.min_resource
    while rung * HALVING <= num_reports:
        rung *= HALVING
    return rung
