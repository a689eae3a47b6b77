"""Makes training jobs true: reconciles TrainingJob records with instances.

One task a job. It shows the rule (`rules.training_job.next_step`) what its attempt sees, writes the
record that the rule returns, lets the attempt do what the rule says, and sleeps until something
changes. When the cloud is started, unfinished jobs are taken up where their records say they are.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from fogbank.cloud.machines.metric_capture import MetricCapture
from fogbank.cloud.machines.nofollow import remove_tree
from fogbank.cloud.machines.reconcile import Reconciler, changed_or_due
from fogbank.cloud.machines.site import Site
from fogbank.cloud.machines.threads import in_thread
from fogbank.cloud.machines.training_attempt import Attempt
from fogbank.cloud.ports import MetricSink, Records
from fogbank.cloud.records.training_job import TrainingJob
from fogbank.cloud.rules.metric_definitions import compile_definitions
from fogbank.cloud.rules.training_job import Observation, next_step, phase
from fogbank.cloud.rules.tuning_trial import OBJECTIVE

log = logging.getLogger("fogbank.training")


class TrainingJobs:
    """All training jobs of the cloud, between `start` and `stop`."""

    def __init__(self, records: Records, metrics: MetricSink, site: Site) -> None:
        self._records = records
        self._metrics = metrics
        self._site = site
        self._resumed: set[str] = set()
        self._captures: dict[str, MetricCapture] = {}
        self._reconciler = Reconciler(
            records,
            TrainingJob,
            wants=lambda job: not job.is_final,
            keep=self._keep,
            broken=self._broken,
        )

    async def start(self) -> None:
        """Take up what an earlier run left, then serve every job until `stop` is called."""
        root = self._site.training_root
        for folder in (root, self._site.torch_home, self._site.overlays):
            folder.mkdir(parents=True, exist_ok=True)
        for name in await self._site.engine.sweep(root):
            log.warning("%s had survived the last run of the cloud and was ended", name)
        unfinished = {job.name for job in self._records.all(TrainingJob) if not job.is_final}
        for folder in root.iterdir():
            if folder.name not in unfinished:
                await in_thread(remove_tree, folder)
        self._resumed = unfinished
        self._reconciler.start()

    async def stop(self) -> None:
        """End every instance; the records say InProgress, and the next run goes on from there."""
        await self._reconciler.stop()

    def objective_values(self, name: str) -> tuple[float, ...]:
        """The objective of a tuning job's trial that runs, report by report; of one that has ended
        its record has them."""
        capture = self._captures.get(name)
        return () if capture is None else capture.objective_values

    async def _keep(self, name: str, event: asyncio.Event) -> None:
        job = self._records.get(TrainingJob, name)
        if job is None:
            return
        resumed = name in self._resumed
        self._resumed.discard(name)
        algorithm = job.request.get("AlgorithmSpecification", {})
        metrics = MetricCapture(
            compile_definitions(algorithm.get("MetricDefinitions", ())),
            self._metrics,
            name,
            objective=_objective(job),
        )
        self._captures[name] = metrics
        attempt = Attempt(
            job, self._site, metrics, event.set, host_restarted=resumed and phase(job) == "Training"
        )
        try:
            while (job := self._records.get(TrainingJob, name)) is not None:
                event.clear()
                decision = next_step(job, attempt.observe(), self._site.clock.now())
                if decision.action in ("restart", "release"):
                    # Before the record is final, all log lines must be readable.
                    await attempt.end()
                    if decision.action == "restart":
                        await self._save(attempt)
                self._write(job, decision.job, metrics, decision.reason)
                if decision.action == "release":
                    await in_thread(remove_tree, attempt.folder)
                    return
                if decision.action == "restart":
                    attempt = Attempt(
                        decision.job, self._site, metrics, event.set, host_restarted=False
                    )
                    continue
                await attempt.act(decision.action, with_model=decision.with_model)
                await changed_or_due(event, decision.wait_until, self._site.clock)
        finally:
            await attempt.end()
            del self._captures[name]

    async def _save(self, attempt: Attempt) -> None:
        try:
            await attempt.save_checkpoints()
        except (OSError, LookupError) as error:
            log.warning("the last checkpoints of %s were not uploaded: %s", attempt.folder, error)

    def _write(
        self, before: TrainingJob, after: TrainingJob, metrics: MetricCapture, reason: str
    ) -> None:
        after = replace(
            after,
            final_metrics=metrics.final or before.final_metrics,
            objective_values=metrics.objective_values or before.objective_values,
        )
        if after == before:
            return
        log.info("training job %s: %s (%s)", after.name, after.secondary_status, reason)
        self._records.put(after)

    def _broken(self, name: str, error: Exception) -> None:
        """What nobody foresaw ends the job (or its attempt) with a stated reason."""
        job = self._records.get(TrainingJob, name)
        if job is None or job.is_final:
            return
        seen = Observation(internal_error=f"{type(error).__name__}: {error}")
        self._records.put(next_step(job, seen, self._site.clock.now()).job)


def _objective(job: TrainingJob) -> str | None:
    """Name of the metric that a tuning job watches."""
    if job.tuning_job_arn is None:
        return None
    name: str | None = job.request.get("HyperParameters", {}).get(OBJECTIVE)
    return name
