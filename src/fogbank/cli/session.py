"""From options to what a command works with: the running cloud, the project, the world."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fogbank.core.errors import InputError

if TYPE_CHECKING:
    from fogbank.aws import Aws
    from fogbank.ops.blueprint import Blueprint
    from fogbank.ops.local_cloud import LocalCloud, RunningCloud, Settings
    from fogbank.ops.names import Names
    from fogbank.ops.spec import Spec
    from fogbank.ops.world import World


def local_cloud(home: Path) -> LocalCloud:
    """The cloud of that folder, whether it runs or not."""
    from fogbank.core.clock import SystemClock, wait
    from fogbank.ops.local_cloud import LocalCloud

    return LocalCloud(home, clock=SystemClock(), pause=wait)


def cloud_settings(port: int, account: str | None = None, region: str | None = None) -> Settings:
    """What a cloud would be started with. Raises InputError for what cannot be one's."""
    from fogbank.ops.local_cloud import Settings

    settings = Settings(
        port=port,
        account=account or os.environ.get("FOGBANK_ACCOUNT") or Settings.account,
        region=region or os.environ.get("FOGBANK_REGION") or Settings.region,
    )
    if not re.fullmatch(r"\d{12}", settings.account):
        raise InputError(f"account {settings.account!r} is not 12 digits (--account)")
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", settings.region):
        raise InputError(
            f"region {settings.region!r} is not a region's name such as us-east-1 (--region)"
        )
    return settings


def running_cloud(home: Path, port: int) -> tuple[LocalCloud, RunningCloud]:
    """The cloud of that folder; started where it does not run, with a remark on stderr."""
    from fogbank.cli.console import events

    cloud = local_cloud(home)
    running = cloud.find()
    if running is None:
        running, _ = cloud.start(cloud_settings(port))
        events().print(
            f"started the cloud on {running.url} (its folder is {running.home})", style="dim"
        )
    return cloud, running


@dataclass(frozen=True, kw_only=True)
class NamedProject:
    """What fogbank.yaml says, what things are called in the cloud, and that cloud: for commands
    that need to know nothing of the project's other files."""

    spec: Spec
    names: Names
    cloud: RunningCloud
    aws: Aws


def name_project(project_dir: Path, home: Path, port: int) -> NamedProject:
    """Read fogbank.yaml, then find or start the cloud. Raises InputError where the file is wrong,
    before anything is started."""
    from fogbank.core.arn import Scope
    from fogbank.ops.names import Names
    from fogbank.ops.spec_file import FILE_NAME, read_spec

    spec = read_spec(project_dir / FILE_NAME)
    cloud, running = running_cloud(home, port)
    return NamedProject(
        spec=spec,
        names=Names(spec.project, Scope(running.account, running.region)),
        cloud=running,
        aws=cloud.aws(running),
    )


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project and the cloud that it is worked on with."""

    folder: Path
    blueprint: Blueprint
    cloud: RunningCloud
    aws: Aws


def open_project(project_dir: Path, home: Path, port: int) -> Project:
    """Read fogbank.yaml and the files that it names, then find or start the cloud.

    Raises InputError where the project is wrong, before anything is started.
    """
    from fogbank.core.arn import Scope
    from fogbank.ops.blueprint import Blueprint
    from fogbank.ops.capacity import read_capacity
    from fogbank.ops.spec_file import FILE_NAME, read_spec
    from fogbank.ops.survey import survey
    from fogbank.ops.tuned import read_tuned

    spec = read_spec(project_dir / FILE_NAME)
    surveyed = survey(spec, project_dir)
    tuned = read_tuned(project_dir)
    capacity = read_capacity(project_dir)
    cloud, running = running_cloud(home, port)
    return Project(
        folder=project_dir,
        blueprint=Blueprint(
            spec, surveyed, Scope(running.account, running.region), tuned, capacity
        ),
        cloud=running,
        aws=cloud.aws(running),
    )


@contextmanager
def changing_project(project_dir: Path, home: Path, port: int) -> Iterator[Project]:
    """`open_project` for a command that changes it: no other one does for as long as the block
    runs. Raises ProjectBusy where one does already."""
    from fogbank.ops.project_lock import project_lock

    project = open_project(project_dir, home, port)
    with project_lock(project.cloud.home, project.blueprint.names.project):
        yield project


@contextmanager
def shown_world(aws: Aws) -> Iterator[World]:
    """The world to apply steps to, with progress on stderr for as long as the block runs."""
    from fogbank.cli.console import events
    from fogbank.cli.progress import ShownProgress
    from fogbank.core.clock import SystemClock, wait
    from fogbank.ops.world import World

    with ShownProgress(events()) as progress:
        yield World(aws=aws, progress=progress, clock=SystemClock(), pause=wait)
