"""Makes tuning jobs true: reconciles TuningJob records with the training jobs that they launch.

One task a job. It shows the rule (`rules.tuning_job.next_step`) the job and its children, stops and
launches training jobs as the rule says, and sleeps until one of them changes. It runs nothing: a
trial is a TrainingJob record, which `machines.training` finds. Everything that the next step needs
is in the records, so a cloud that starts again goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from fogbank.cloud.machines.reconcile import Reconciler, changed_or_due
from fogbank.cloud.machines.threads import in_thread
from fogbank.cloud.ports import Records
from fogbank.cloud.records.base import Record
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.records.training_job import TrainingJob
from fogbank.cloud.records.tuning_job import TuningJob
from fogbank.cloud.rules import training_job as training_rules
from fogbank.cloud.rules import tuning_job as rules
from fogbank.cloud.rules.search import Sampler, suggest
from fogbank.cloud.rules.tuning_settings import Settings, read_settings
from fogbank.cloud.rules.tuning_trial import Child, children_of, launch
from fogbank.core.arn import Scope
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.tuning")


class Progress(Protocol):
    """What a running trial has reported so far."""

    def objective_values(self, name: str) -> tuple[float, ...]:
        """Of the training job `name`, report by report; empty where it does not run."""
        ...


class TuningJobs:
    """All tuning jobs of the cloud, between `start` and `stop`."""

    def __init__(
        self, records: Records, sampler: Sampler, progress: Progress, scope: Scope, clock: Clock
    ) -> None:
        self._records = records
        self._sampler = sampler
        self._progress = progress
        self._scope = scope
        self._clock = clock
        self._events: dict[str, asyncio.Event] = {}
        self._reconciler = Reconciler(
            records,
            TuningJob,
            wants=lambda job: not job.is_final,
            keep=self._keep,
            broken=self._broken,
        )
        records.subscribe(TrainingJob, self._wake)

    async def start(self) -> None:
        """Take up what an earlier run left, then serve every job until `stop` is called."""
        self._reconciler.start()

    async def stop(self) -> None:
        """The records say InProgress, and the next run goes on from there."""
        await self._reconciler.stop()

    def _wake(self, training_job: str) -> None:
        """A training job has changed: its tuning job may have something to do."""
        job = self._records.get(TrainingJob, training_job)
        if job is not None and job.tuning_job_arn in self._events:
            self._events[job.tuning_job_arn].set()

    async def _keep(self, name: str, event: asyncio.Event) -> None:
        job = self._records.get(TuningJob, name)
        if job is None:
            return
        arn, settings = job.arn, read_settings(job.request)
        self._events[arn] = event
        try:
            while job is not None and not job.is_final:
                event.clear()
                await self._step(job, settings, event)
                job = self._records.get(TuningJob, name)
        finally:
            del self._events[arn]

    async def _step(self, job: TuningJob, settings: Settings, event: asyncio.Event) -> None:
        children = self._children(job)
        decision = rules.next_step(job, settings, children, self._clock.now())
        if decision.job != job or decision.stops:
            log.info("tuning job %s: %s (%s)", job.name, decision.job.status, decision.reason)
            self._write(decision, children)
            return  # look again at what there is now
        if decision.num_starts:
            await self._launch(job, settings, children)
            return  # one at a time: the next one sees this one
        await changed_or_due(event, decision.wait_until, self._clock)

    def _children(self, job: TuningJob) -> list[Child]:
        return children_of(
            job, lambda name: self._records.get(TrainingJob, name), self._progress.objective_values
        )

    def _write(self, decision: rules.Decision, children: Sequence[Child]) -> None:
        """The job as it is now, and the trials that are to stop; all of it or nothing."""
        changed: list[Record] = [self._with_stops(decision.job, decision.stops)]
        changed += [
            training_rules.stop(child.job, self._clock.now())
            for child in children
            if child.job.name in decision.stops
        ]
        self._records.put(*changed)

    def _with_stops(self, job: TuningJob, stops: Mapping[str, str]) -> TuningJob:
        """Trials that are stopped before the job itself is ending say why."""
        if job.outcome is not None:
            return job
        trials = tuple(
            replace(trial, stopped_early=stops[trial.name]) if trial.name in stops else trial
            for trial in job.trials
        )
        return replace(job, trials=trials, modified=self._clock.now())

    async def _launch(self, job: TuningJob, settings: Settings, children: list[Child]) -> None:
        index = rules.next_definition(job, settings)
        tuned = await in_thread(
            suggest,
            settings.definitions[index].space,
            rules.history(job, settings, children, index),
            strategy=settings.strategy,
            maximize=settings.maximize,
            seed=job.seed,
            max_trials=settings.max_trials,
            sampler=self._sampler,
        )
        current = self._records.get(TuningJob, job.name)
        if current != job:
            return  # it was stopped or deleted while the model was asked
        now = self._clock.now()
        trial, training_job = launch(
            job,
            settings.definitions,
            index,
            tuned,
            training_job_arn=self._scope.arn("sagemaker", "training-job/"),
            now=now,
        )
        # Both at once: a kill in between would leave a trial without a job, or the reverse.
        self._records.put(
            replace(job, trials=(*job.trials, trial), modified=now),
            training_job,
            *self._tags(job, training_job),
        )
        log.info("tuning job %s: trial %s with %s", job.name, trial.name, dict(tuned))

    def _tags(self, job: TuningJob, training_job: TrainingJob) -> tuple[Tags, ...]:
        """A tuning job's tags are its training jobs' too (API reference)."""
        tags = self._records.get(Tags, job.arn)
        return () if tags is None else (Tags(arn=training_job.arn, tags=tags.tags),)

    def _broken(self, name: str, error: Exception) -> None:
        """What nobody foresaw ends the job with a stated reason; its trials are stopped first."""
        job = self._records.get(TuningJob, name)
        if job is None or job.is_final:
            return
        reason = f"InternalServerError: We encountered an internal error. ({error})"
        self._records.put(rules.fail(job, reason, self._clock.now()))
