"""When a running trial is not worth its time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.rules.early_stopping import MIN_CURVES, below_the_median, falls_behind
from fogbank.cloud.rules.tuning_settings import Hyperband

EARLIER = [(4.0, 2.0, 1.0), (6.0, 4.0, 1.0), (8.0, 6.0, 1.0)]
"""Running averages at report 2: 3, 5 and 7. Their median is 5."""


@pytest.mark.docs
@pytest.mark.parametrize(
    ("curve", "stops"),
    [
        ((), False),
        ((9.0, 5.1), True),
        ((9.0, 5.0), False),  # as good as the median is not worse
        ((6.1,), True),
        ((5.9,), False),
        ((9.0, 9.0, 9.0), False),  # nobody has gone further: the script may be saving its model
        ((1.0, 1.0, 9.0, 1.0), True),  # it has gone further itself: measured at report 3
        ((9.0, 9.0, 2.6, 9.0), False),
    ],
)
def test_the_median_rule(curve: tuple[float, ...], stops: bool) -> None:
    assert (below_the_median(curve, EARLIER, maximize=False) is not None) == stops


@pytest.mark.docs
def test_the_median_rule_when_maximizing() -> None:
    assert below_the_median((1.0, 4.9), EARLIER, maximize=True) is not None
    assert below_the_median((1.0, 5.0), EARLIER, maximize=True) is None
    reason = below_the_median((1.0, 4.9), EARLIER, maximize=True)
    assert reason == (
        "its objective 4.9 at report 2 is worse than the median 5 of the running averages of 3 "
        "earlier trials"
    )


def test_a_few_curves_are_not_enough_and_short_ones_do_not_count() -> None:
    curve = (99.0, 99.0)
    assert below_the_median(curve, EARLIER[: MIN_CURVES - 1], maximize=False) is None
    assert below_the_median(curve, [*EARLIER[:2], (1.0, 1.0)], maximize=False) is None


BAND = Hyperband(2, 18)
"""Rungs at reports 2 and 6."""


@pytest.mark.docs
@pytest.mark.parametrize(
    ("curve", "others", "stops"),
    [
        ((9.0,), [(1.0, 1.0, 1.0)] * 5, False),  # below MinResource
        ((9.0, 9.0), [(1.0, 1.0, 1.0)], False),  # two on the rung: nobody is the best third
        ((9.0, 9.0), [(1.0, 1.0, 1.0)] * 2, True),
        ((9.0, 1.0), [(1.0, 2.0, 1.0)] * 2, False),  # the best of three
        ((9.0, 2.0), [(1.0, 1.0, 1.0), *[(3.0, 3.0, 3.0)] * 4], False),  # the second of six
        ((9.0, 2.5), [*[(1.0, 1.0, 1.0)] * 2, *[(3.0, 3.0, 3.0)] * 3], True),  # the third of six
        ((9.0, 9.0), [(1.0, 1.0)] * 5, False),  # nobody has gone further
        ((9.0, 9.0, 0.1), [(1.0, 1.0, 1.0)] * 2, True),  # measured at the rung, not after it
        ((1.0,) * 6, [(2.0,) * 7] * 2, False),
        ((3.0,) * 6, [(2.0,) * 7] * 2, True),
        ((3.0,) * 18, [(2.0,) * 18] * 9, False),  # at MaxResource, saving its model
        ((1.0,) * 19, [], True),  # beyond MaxResource
    ],
)
def test_successive_halving(
    curve: tuple[float, ...], others: list[tuple[float, ...]], stops: bool
) -> None:
    assert (falls_behind(curve, others, BAND, maximize=False) is not None) == stops
    mirrored = [tuple(-value for value in other) for other in others]
    opposite = falls_behind(tuple(-value for value in curve), mirrored, BAND, maximize=True)
    assert (opposite is not None) == stops


curves = st.lists(st.floats(-10, 10), max_size=20).map(tuple)


@given(curve=st.lists(st.floats(-10, 10), max_size=18), maximize=st.booleans())
def test_the_only_trial_is_never_stopped_early(curve: list[float], maximize: bool) -> None:
    assert below_the_median(curve, [], maximize=maximize) is None
    assert falls_behind(curve, [], BAND, maximize=maximize) is None


@given(everybody=st.lists(curves, min_size=1, max_size=8), maximize=st.booleans())
def test_not_everybody_is_stopped(everybody: list[tuple[float, ...]], maximize: bool) -> None:
    """Whoever is best at every report goes on, up to MaxResource."""
    everybody = [curve[:18] for curve in everybody]
    best = (99.0 if maximize else -99.0,) * 17
    assert below_the_median(best, everybody, maximize=maximize) is None
    assert falls_behind(best, everybody, BAND, maximize=maximize) is None
