"""The life of a tuning job with a fake engine and a clock moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cloud.machines.training_site import ROLE, TrainingSite, eventually
from cloud.rules.tuning_story import Counting
from cloud.tuning_request import limits, tuning_job
from fogbank.cloud.machines.engine import Exit
from fogbank.cloud.machines.fake import FakeEngine, FakeInstance
from fogbank.cloud.machines.tuning import TuningJobs
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.records.training_job import TrainingJob
from fogbank.cloud.records.tuning_job import TuningJob
from fogbank.cloud.rules import tuning_job as rules
from fogbank.cloud.rules.search import Sampler, Seen
from fogbank.cloud.rules.search_space import Point
from fogbank.core.arn import Scope
from fogbank.testing.clock import ManualClock


class Broken:
    """A sampler that has a bug."""

    def suggest(
        self, num_choices: Sequence[int | None], seen: Sequence[Seen], *, maximize: bool, seed: int
    ) -> Point:
        raise ZeroDivisionError("no prior")


class Stage:
    """A cloud of fakes that tunes."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(datetime(2026, 11, 21, 12, tzinfo=UTC))
        self.engine = FakeEngine(self.clock)
        folder.mkdir(exist_ok=True)
        self.site = TrainingSite(folder, self.engine, self.clock)
        self.records = self.site.records
        self.tuning = self._new_tuning(Counting())

    def _new_tuning(self, sampler: Sampler) -> TuningJobs:
        return TuningJobs(self.records, sampler, self.site.jobs, Scope(), self.clock)

    async def start(self, sampler: Sampler | None = None) -> None:
        if sampler is not None:
            self.tuning = self._new_tuning(sampler)
        await self.site.jobs.start()
        await self.tuning.start()

    async def stop(self) -> None:
        await self.tuning.stop()
        await self.site.jobs.stop()

    async def restart(self) -> None:
        """The cloud is killed and started again."""
        await self.stop()
        self.site.jobs = self.site.new_jobs()
        await self.start(Counting())

    def create(self, *, tags: dict[str, str] | None = None, **configured: Any) -> None:
        """What CreateHyperParameterTuningJob writes."""
        defined = {"RoleArn": ROLE, "OutputDataConfig": {"S3OutputPath": "s3://out/jobs"}}
        now = self.clock.now()
        job = TuningJob(
            name="hpo",
            arn=Scope().arn("sagemaker", "hyper-parameter-tuning-job/hpo"),
            request=tuning_job("hpo", configured=configured, defined=defined),
            status="InProgress",
            created=now,
            modified=now,
            seed=7,
        )
        self.records.put(job, *([Tags(arn=job.arn, tags=tags)] if tags else []))

    @property
    def job(self) -> TuningJob:
        found = self.records.get(TuningJob, "hpo")
        assert found is not None
        return found

    def child(self, number: int) -> TrainingJob:
        found = self.records.get(TrainingJob, self.job.trials[number - 1].name)
        assert found is not None
        return found

    async def program(self, number: int) -> FakeInstance:
        """The program of trial `number`, once it runs."""

        def running() -> FakeInstance | None:
            if len(self.job.trials) < number:
                return None
            wanted = f"training/{self.job.trials[number - 1].name}/algo-1"
            found = [one for one in self.engine.running if one.spec.name == wanted]
            return found[0] if found else None

        await eventually(lambda: running() is not None)
        program = running()
        assert program is not None
        return program

    async def programs(self, *numbers: int) -> list[FakeInstance]:
        """Once all of them run: which one is first, nobody knows."""
        return [await self.program(number) for number in numbers]

    async def ends(self, number: int, text: str = "", code: int = 0) -> None:
        program = await self.program(number)
        program.prints(text)
        program.ends(Exit(code=code))
        await eventually(lambda: self.child(number).is_final)

    async def end(self) -> TuningJob:
        await eventually(lambda: self.job.is_final)
        return self.job


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    await stage.start()
    yield stage
    await stage.stop()


@pytest.mark.docs
async def test_a_job_from_first_to_last(stage: Stage) -> None:
    stage.create(ResourceLimits=limits(3, 2), tags={"fogbank:project": "dogs"})
    await stage.programs(1, 2)
    assert len(stage.engine.running) == len(stage.job.trials) == 2
    await stage.ends(1, "Loss: 0.9\nLoss: 0.5\n")
    await stage.program(3)
    assert stage.child(1).objective_values == (0.9, 0.5)
    await stage.ends(2, "Loss: 0.4\n")
    await stage.ends(3, "Loss: 0.7\n")
    job = await stage.end()
    assert job.status == "Completed"
    assert [stage.child(n).final_metrics[0].value for n in (1, 2, 3)] == [0.5, 0.4, 0.7]
    tags = stage.records.get(Tags, stage.child(3).arn)
    assert tags is not None
    assert tags.tags == {"fogbank:project": "dogs"}


@pytest.mark.docs
async def test_a_stop_reaches_every_trial(stage: Stage) -> None:
    stage.create(ResourceLimits=limits(9, 3))
    await stage.program(3)
    stage.records.put(rules.stop(stage.job, stage.clock.now()))
    job = await stage.end()
    assert job.status == "Stopped"
    assert [stage.child(n).status for n in (1, 2, 3)] == ["Stopped"] * 3
    assert stage.engine.running == []
    assert len(job.trials) == 3


@pytest.mark.docs
async def test_the_time_of_the_tuning_job_ends_in_the_clocks_time(stage: Stage) -> None:
    stage.create(ResourceLimits=limits(9, 1, MaxRuntimeInSeconds=300))
    await stage.ends(1, "Loss: 0.5\n")
    await stage.program(2)
    await stage.clock.advance(299)
    assert stage.job.outcome is None
    await stage.clock.advance(1)
    job = await stage.end()
    assert (job.status, stage.child(2).status) == ("Completed", "Stopped")


@pytest.mark.docs
async def test_a_trial_that_lags_behind_is_stopped_early(stage: Stage) -> None:
    stage.create(ResourceLimits=limits(5, 1), TrainingJobEarlyStoppingType="Auto")
    for number in (1, 2, 3):
        await stage.ends(number, "Loss: 0.9\nLoss: 0.5\nLoss: 0.3\n")
    program = await stage.program(4)
    program.prints("Loss: 0.95\n")
    await eventually(lambda: stage.site.jobs.objective_values(stage.job.trials[3].name) == (0.95,))
    await stage.clock.advance(1)
    await eventually(lambda: stage.child(4).is_final)
    await stage.program(5)
    assert stage.child(4).status == "Stopped"
    assert "worse than the median" in (stage.job.trials[3].stopped_early or "")
    await stage.ends(5, "Loss: 0.2\n")
    assert (await stage.end()).status == "Completed"


@pytest.mark.docs
async def test_hyperband_keeps_the_best_third(stage: Stage) -> None:
    stage.create(
        Strategy="Hyperband",
        StrategyConfig={"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}},
        ResourceLimits=limits(3, 3),
    )
    programs = await stage.programs(1, 2, 3)
    for number, program in enumerate(programs, start=1):
        program.prints(f"Loss: 0.{number}\nLoss: 0.{number}\n")
    names = [trial.name for trial in stage.job.trials]
    await eventually(lambda: all(len(stage.site.jobs.objective_values(n)) == 2 for n in names))
    await stage.clock.advance(1)
    await eventually(lambda: stage.child(2).is_final and stage.child(3).is_final)
    assert stage.engine.running == [programs[0]]
    assert [trial.stopped_early is not None for trial in stage.job.trials] == [False, True, True]
    programs[0].prints("Loss: 0.05\n" * 8)  # ten reports: beyond MaxResource
    await eventually(lambda: len(stage.site.jobs.objective_values(names[0])) == 10)
    await stage.clock.advance(1)
    job = await stage.end()
    assert (job.status, stage.child(1).status) == ("Completed", "Stopped")


async def test_a_restart_goes_on_where_it_was(stage: Stage) -> None:
    """Trials that ran are run again with the same hyperparameters; none is lost or doubled."""
    stage.create(ResourceLimits=limits(4, 2))
    await stage.ends(1, "Loss: 0.5\n")
    await stage.programs(2, 3)
    before = stage.job.trials
    await stage.restart()
    await stage.programs(2, 3)
    assert stage.job.trials == before
    assert stage.child(2).attempt == 2
    assert stage.child(1).attempt == 1
    for number in (2, 3, 4):
        await stage.ends(number, f"Loss: 0.{number}\n")
    job = await stage.end()
    assert job.status == "Completed"
    assert job.trials[:3] == before
    assert len(job.trials) == 4


async def test_a_restart_tries_what_would_have_been_tried(tmp_path: Path) -> None:
    found: list[list[Any]] = []
    for kills in (False, True):
        stage = Stage(tmp_path / str(kills))
        await stage.start()
        stage.create(Strategy="Bayesian", ResourceLimits=limits(6, 1))
        for number in range(1, 7):
            await stage.program(number)
            if kills:
                await stage.restart()
            await stage.ends(number, f"Loss: 0.{number}\n")
        job = await stage.end()
        found.append([trial.hyperparameters for trial in job.trials])
        await stage.stop()
    assert found[0] == found[1]


async def test_a_bug_in_the_search_ends_the_job_and_its_trials(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.start(Broken())
    stage.create(Strategy="Bayesian", ResourceLimits=limits(9, 2))
    for number in (1, 2, 3):
        await stage.ends(number, "Loss: 0.5\n")
    job = await stage.end()
    assert job.status == "Failed"
    assert job.reason == "InternalServerError: We encountered an internal error. (no prior)"
    assert stage.engine.running == []
    await stage.stop()


async def test_a_stop_while_the_model_is_asked_launches_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    class Slow(Counting):
        """Answers when the test has had its say."""

        def suggest(self, *args: Any, **kwargs: Any) -> Point:
            loop.call_soon_threadsafe(asked.set)
            asyncio.run_coroutine_threadsafe(answer.wait(), loop).result()
            return super().suggest(*args, **kwargs)

    loop, asked, answer = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    await stage.start(Slow())
    stage.create(Strategy="Bayesian", ResourceLimits=limits(9, 1))
    for number in (1, 2, 3):
        await stage.ends(number, "Loss: 0.5\n")
    await asked.wait()
    stage.records.put(rules.stop(stage.job, stage.clock.now()))
    answer.set()
    job = await stage.end()
    assert (job.status, len(job.trials)) == ("Stopped", 3)
    await stage.stop()
