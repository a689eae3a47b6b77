"""The model behind the Bayesian search: Optuna's TPE, asked for one point at a time.

In: points and their objectives (`rules.search.Seen`). Out: the point to try next. Nothing is kept:
each question builds the study anew, so the answer depends on the question alone. Source: Bergstra
et al., "Algorithms for Hyper-Parameter Optimization" (2011).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fogbank.cloud.rules.search import Seen
from fogbank.cloud.rules.search_space import Point

if TYPE_CHECKING:
    from optuna.samplers import TPESampler


def optuna_is_installed() -> bool:
    """Whether `OptunaSampler` can be asked: Optuna comes with the extra `tuning`."""
    return find_spec("optuna") is not None


def _num_good(num_trials: int) -> int:
    """How many trials TPE takes for the good ones: a quarter. Optuna's own tenth is meant for
    hundreds of trials; with 8 to 40 of them a quarter comes closer to the optimum
    (docs/design/tuning-job.md has the numbers)."""
    return min(25, math.ceil(num_trials / 4))


class OptunaSampler:
    """See `rules.search.Sampler`. Optuna is imported with the first question: it takes 0.5 s."""

    def suggest(
        self, num_choices: Sequence[int | None], seen: Sequence[Seen], *, maximize: bool, seed: int
    ) -> Point:
        """Raises ModuleNotFoundError where Optuna is not installed."""
        import optuna
        from optuna.distributions import (
            BaseDistribution,
            CategoricalDistribution,
            FloatDistribution,
        )
        from optuna.trial import FrozenTrial, TrialState

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        axes: dict[str, BaseDistribution] = {
            str(number): FloatDistribution(0.0, 1.0)
            if count is None
            else CategoricalDistribution(range(count))
            for number, count in enumerate(num_choices)
        }

        def trial(one: Seen) -> FrozenTrial:
            params = {
                str(number): coordinate if count is None else int(coordinate)
                for number, (count, coordinate) in enumerate(
                    zip(num_choices, one.point, strict=True)
                )
            }
            if one.value is None:
                # A trial that runs: TPE keeps away from it, so that parallel trials differ.
                return optuna.create_trial(
                    state=TrialState.RUNNING, params=params, distributions=axes
                )
            if one.num_reports is None:
                return optuna.create_trial(value=one.value, params=params, distributions=axes)
            return optuna.create_trial(
                state=TrialState.PRUNED,
                params=params,
                distributions=axes,
                intermediate_values={one.num_reports: one.value},
            )

        study = optuna.create_study(
            direction="maximize" if maximize else "minimize",
            sampler=self._tpe(seed),
        )
        study.add_trials([trial(one) for one in seen])
        params = study.ask(axes).params
        return tuple(float(params[name]) for name in axes)

    def _tpe(self, seed: int) -> TPESampler:
        from optuna.samplers import TPESampler

        with warnings.catch_warnings():
            # Optuna 6 will do without `gamma`; pyproject.toml keeps to 5, which has it.
            warnings.filterwarnings("ignore", "`gamma` has been deprecated", FutureWarning)
            return TPESampler(n_startup_trials=1, gamma=_num_good, seed=seed)
