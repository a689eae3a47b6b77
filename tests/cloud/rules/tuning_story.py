"""A tuning job played by hand: what the machine does, without a machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cloud.tuning_request import tuning_job
from fogbank.cloud.records.training_job import FinalMetric, TrainingJob
from fogbank.cloud.records.tuning_job import TuningJob
from fogbank.cloud.rules import training_job as training_rules
from fogbank.cloud.rules.search import Sampler, Seen, suggest
from fogbank.cloud.rules.search_space import Point
from fogbank.cloud.rules.tuning_job import Decision, history, next_definition, next_step
from fogbank.cloud.rules.tuning_settings import read_settings
from fogbank.cloud.rules.tuning_trial import Child, children_of, launch

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Counting:
    """A sampler whose answer says how much it was told."""

    def suggest(
        self, num_choices: Sequence[int | None], seen: Sequence[Seen], *, maximize: bool, seed: int
    ) -> Point:
        at = (seed % 997) / 997
        return tuple(at if count is None else float(seed % count) for count in num_choices)


class Story:
    """`step` once after each change, as the machine does."""

    def __init__(
        self, request: dict[str, Any] | None = None, *, sampler: Sampler | None = None
    ) -> None:
        self.now = START
        self.sampler = sampler or Counting()
        request = request or tuning_job()
        self.job = TuningJob(
            name=request["HyperParameterTuningJobName"],
            arn="arn:aws:sagemaker:us-east-1:123456789012:hyper-parameter-tuning-job/dogs-hpo",
            request=request,
            status="InProgress",
            created=START,
            modified=START,
            seed=7,
        )
        self.settings = read_settings(request)
        self.training_jobs: dict[str, TrainingJob] = {}
        self.values: dict[str, tuple[float, ...]] = {}
        self.decisions: list[Decision] = []

    @property
    def children(self) -> list[Child]:
        return children_of(self.job, self.training_jobs.get, lambda name: self.values.get(name, ()))

    @property
    def status(self) -> str:
        return self.job.status

    @property
    def outcome(self) -> str:
        """Empty where there is none yet."""
        return self.job.outcome or ""

    @property
    def running(self) -> list[Child]:
        return [child for child in self.children if not child.job.is_final]

    def step(self) -> Decision:
        """Do what the rule says until it says nothing new. Returns the last decision."""
        while True:
            decision = next_step(self.job, self.settings, self.children, self.now)
            self.decisions.append(decision)
            quiet = decision.job == self.job and not decision.stops and not decision.num_starts
            self.job = decision.job
            for name, reason in decision.stops.items():
                self.training_jobs[name] = training_rules.stop(self.training_jobs[name], self.now)
                if self.job.outcome is None:
                    self._mark(name, reason)
            if decision.num_starts:
                self._launch()
            if quiet:
                return decision

    def _mark(self, name: str, reason: str) -> None:
        trials = tuple(
            replace(trial, stopped_early=reason) if trial.name == name else trial
            for trial in self.job.trials
        )
        self.job = replace(self.job, trials=trials)

    def _launch(self) -> None:
        index = next_definition(self.job, self.settings)
        tuned = suggest(
            self.settings.definitions[index].space,
            history(self.job, self.settings, self.children, index),
            strategy=self.settings.strategy,
            maximize=self.settings.maximize,
            seed=self.job.seed,
            max_trials=self.settings.max_trials,
            sampler=self.sampler,
        )
        trial, training_job = launch(
            self.job,
            self.settings.definitions,
            index,
            tuned,
            training_job_arn="arn:aws:sagemaker:us-east-1:123456789012:training-job/",
            now=self.now,
        )
        self.job = replace(self.job, trials=(*self.job.trials, trial))
        self.training_jobs[training_job.name] = training_job

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def reports(self, name: str, *values: float) -> None:
        """The trial's log shows its objective."""
        self.values[name] = (*self.values.get(name, ()), *values)

    def ends(self, name: str, value: float | None = None, *, reason: str | None = None) -> None:
        """The training job ends: Failed with a reason, Stopped where that was asked, else
        Completed. value: a last report."""
        self.now += timedelta(milliseconds=1)
        if value is not None:
            self.reports(name, value)
        job = self.training_jobs[name]
        status = "Stopped" if job.status == "Stopping" else "Failed" if reason else "Completed"
        ended = training_rules.transition(job, status, status, self.now)
        values = self.values.get(name, ())
        metric = self.settings.definitions[0].metric
        final = (FinalMetric(name=metric, value=values[-1], at=self.now),) if values else ()
        self.training_jobs[name] = replace(
            ended, final_metrics=final, objective_values=values, failure_reason=reason
        )

    def name(self, number: int) -> str:
        """Of the training job of a trial."""
        return self.job.trials[number - 1].name
