"""Makes scaling policies true: alarms and schedules in, capacities and activities out.

The rules decide (`rules.scaling`, `target_tracking`, `step_scaling`, `schedule`); this room shows
them how things stand, asks the service for the capacity that they want, writes the activity, and
ends it when the service has it. Everything is in the records: a cloud that starts again goes on.

time_scale: cooldowns are that many times shorter; schedules stay on the real clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from fogbank.cloud.errors import ServiceError
from fogbank.cloud.machines.alarms import AlarmEvaluation
from fogbank.cloud.machines.scalable_resources import Capacity, Resources
from fogbank.cloud.ports import Records
from fogbank.cloud.records.alarm import Alarm
from fogbank.cloud.records.function import ProvisionedConcurrency
from fogbank.cloud.records.hosting import Endpoint
from fogbank.cloud.records.scaling import (
    ScalableTarget,
    ScalingActivity,
    ScalingPolicy,
    ScheduledAction,
)
from fogbank.cloud.rules import scaling_activity as words
from fogbank.cloud.rules import step_scaling, target_tracking
from fogbank.cloud.rules.alarm import Evaluation
from fogbank.cloud.rules.scalable import scalable
from fogbank.cloud.rules.scaling import Bounds, Decision, Measure, Past, Proposal, Standing, decide
from fogbank.cloud.rules.schedule import next_due
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.autoscaling")

Fired = Mapping[str, Sequence[Alarm]]
"""ARN of a policy -> the alarms that stand and ask for it."""

LOOK_EVERY_S = 10.0
"""How often a policy that was held back is tried again (observed: every 10 s or so)."""


class AutoScaling:
    """All scalable targets of the cloud, between `start` and `stop`."""

    def __init__(
        self,
        records: Records,
        resources: Resources,
        alarms: AlarmEvaluation,
        clock: Clock,
        *,
        time_scale: float = 1.0,
    ) -> None:
        self._records = records
        self._resources = resources
        self._clock = clock
        self._time_scale = time_scale
        self._measures: dict[str, Measure] = {}
        activities = records.all(ScalingActivity)
        self._num_activities = max((each.number for each in activities), default=0)
        # What is under way is asked for again and again, and is a few of ever so many.
        self._under_way = {each.key for each in activities if each.status == "InProgress"}
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        alarms.listeners.append(self._hear)
        records.subscribe(ScalingActivity, self._note_activity)
        for kind in (ScalableTarget, ScheduledAction, Endpoint, ProvisionedConcurrency):
            records.subscribe(kind, lambda _: self._changed.set())

    def start(self) -> None:
        self._changed.set()
        self._tasks = [
            asyncio.create_task(self._run(), name="auto scaling"),
            asyncio.create_task(self._ring(), name="auto scaling's bell"),
        ]

    async def stop(self) -> None:
        """Activities stay as they are: the next run takes them up."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _hear(self, alarm: Alarm, found: Evaluation) -> None:
        if found.used:
            newest = found.used[-1]
            self._measures[alarm.name] = Measure(newest.value, newest.at)
        else:
            self._measures.pop(alarm.name, None)  # no data means no action
        if alarm.state == "ALARM":
            self._changed.set()

    async def _ring(self) -> None:
        while True:
            await self._clock.sleep(max(1.0, LOOK_EVERY_S / self._time_scale))
            self._changed.set()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            fired = self._fired()
            for target in self._records.all(ScalableTarget):
                try:
                    self._look_after(target, fired, self._clock.now())
                except Exception:  # one target's trouble must not stop the others' scaling
                    log.exception("scalable target %s", target.key)
            self._end_left_behind(self._clock.now())

    def _fired(self) -> Fired:
        found: defaultdict[str, list[Alarm]] = defaultdict(list)
        for alarm in self._records.all(Alarm):
            if alarm.state == "ALARM" and alarm.request.get("ActionsEnabled", True):
                for action in alarm.request.get("AlarmActions", ()):
                    found[action].append(alarm)
        return found

    def _look_after(self, target: ScalableTarget, fired: Fired, now: datetime) -> None:
        capacity = self._resources.capacity(target.key)
        self._end_activity(target.key, capacity, now)
        if capacity is None:
            return
        target = self._obey_schedule(target, now)
        if self._move_into_bounds(target, capacity, now):
            return
        proposals = self._proposals(target, capacity, fired)
        decision = decide(self._standing(target, capacity), proposals, now)
        self._carry_out(target, capacity, decision, now)

    # -- activities -------------------------------------------------------------------------------

    def _activities(self, target: str) -> list[ScalingActivity]:
        return self._records.all(ScalingActivity, prefix=f"{target}|")

    def _note_activity(self, key: str) -> None:
        activity = self._records.get(ScalingActivity, key)
        if activity is not None and activity.status == "InProgress":
            self._under_way.add(key)
        else:
            self._under_way.discard(key)

    def _running(self, target: str) -> ScalingActivity | None:
        keys = [key for key in self._under_way if key.startswith(f"{target}|")]
        return self._records.get(ScalingActivity, max(keys)) if keys else None

    def _end_left_behind(self, now: datetime) -> None:
        """Activities under way whose target has been deregistered end like all others."""
        targets = {key.rpartition("|")[0] for key in self._under_way}
        left = {each for each in targets if self._records.get(ScalableTarget, each) is None}
        for target in left:
            self._end_activity(target, self._resources.capacity(target), now)

    def _end_activity(self, target: str, capacity: Capacity | None, now: datetime) -> None:
        """An activity ends when the service has the capacity, or has another one, or when what is
        scaled has gone."""
        running = self._running(target)
        is_moving = capacity is not None and not (capacity.can_change and capacity.is_settled)
        if running is None or is_moving:
            return
        namespace, resource, dimension = target.split("|")
        kind = scalable(namespace, dimension)
        if capacity is None:
            gone = f"the resource {resource} does not exist any more"
            status, message = words.failed(kind, running.desired, gone)
        elif capacity.desired == running.desired:
            status, message = words.fulfilled(kind, running.desired)
        elif capacity.failure:
            status, message = words.failed(kind, running.desired, capacity.failure)
        elif capacity.desired == running.before:
            status, message = words.unfulfilled(kind, running.desired, capacity.desired)
        else:
            status, message = words.overridden(kind, running.desired, capacity.desired)
        log.info("%s: %s", resource, message)
        self._records.put(replace(running, status=status, message=message, ended=now))

    # -- bounds and schedules ---------------------------------------------------------------------

    def _obey_schedule(self, target: ScalableTarget, now: datetime) -> ScalableTarget:
        """Set the bounds of every scheduled action that has come due."""
        for action in self._records.all(ScheduledAction, prefix=f"{target.key}|"):
            since = action.last_due or action.created
            due = next_due(action.schedule, action.timezone, action.created, since)
            if due is None or due > now:
                continue
            self._records.put(replace(action, last_due=now))
            outside = (action.start and due < action.start) or (action.end and due > action.end)
            if outside or target.scheduled_suspended:
                continue
            minimum = target.minimum if action.minimum is None else action.minimum
            maximum = target.maximum if action.maximum is None else action.maximum
            # Where only one bound is given, the other gives way.
            if action.minimum is None:
                minimum = min(minimum, maximum)
            maximum = max(minimum, maximum)
            log.info("%s: scheduled action %s", target.resource, action.name)
            target = replace(target, minimum=minimum, maximum=maximum)
            self._records.put(target)
        return target

    def _move_into_bounds(self, target: ScalableTarget, capacity: Capacity, now: datetime) -> bool:
        wanted = Bounds(target.minimum, target.maximum).clamp(capacity.desired)
        if wanted == capacity.desired:
            return False
        if capacity.can_change:
            cause = words.bound_was_set(wanted, is_minimum=wanted > capacity.desired)
            self._change(target, capacity.desired, wanted, cause, now)
        return True

    # -- policies ---------------------------------------------------------------------------------

    def _standing(self, target: ScalableTarget, capacity: Capacity) -> Standing:
        ended = [
            each
            for each in self._activities(target.key)
            if each.status == "Successful" and each.ended is not None and each.policy
        ]
        last = ended[-1] if ended else None
        return Standing(
            bounds=Bounds(target.minimum, target.maximum),
            capacity=capacity.desired,
            running=self._running(target.key) is not None,
            can_change=capacity.can_change,
            last=None if last is None else _past(last, self._time_scale),
            scale_in_policies=frozenset(
                policy.name
                for policy in self._policies(target)
                if policy.type == "TargetTrackingScaling"
                and not policy.config.get("DisableScaleIn", False)
            ),
            out_suspended=target.scale_out_suspended,
            in_suspended=target.scale_in_suspended,
        )

    def _policies(self, target: ScalableTarget) -> list[ScalingPolicy]:
        return self._records.all(ScalingPolicy, prefix=f"{target.key}|")

    def _proposals(
        self, target: ScalableTarget, capacity: Capacity, fired: Fired
    ) -> list[Proposal]:
        bounds = Bounds(target.minimum, target.maximum)
        # While a change is under way the metric is still that of the capacity before it.
        running = self._running(target.key)
        actual = capacity.desired if running is None else running.before
        default_s = scalable(target.namespace, target.dimension).default_cooldown_s
        found: list[Proposal | None] = []
        for policy in self._policies(target):
            for alarm in fired.get(policy.arn, ()):
                measure = self._measures.get(alarm.name)
                if measure is None:
                    continue
                cause = words.cause(alarm.name, policy.name)
                if policy.type == "StepScaling":
                    steps = step_scaling.StepScaling.of(
                        policy.name, policy.config, default_cooldown_s=default_s
                    )
                    found.append(
                        step_scaling.propose(
                            steps,
                            measure,
                            alarm.request["Threshold"],
                            actual,
                            bounds,
                            cause,
                        )
                    )
                    continue
                tracking = target_tracking.TargetTracking.of(
                    policy.name, policy.config, default_cooldown_s=default_s
                )
                if alarm.name == policy.alarms[0]:
                    propose = target_tracking.propose_out
                elif tracking.scale_in:
                    propose = target_tracking.propose_in
                else:
                    continue
                found.append(propose(tracking, measure, actual, bounds, cause))
        return [proposal for proposal in found if proposal is not None]

    def _carry_out(
        self, target: ScalableTarget, capacity: Capacity, decision: Decision, now: datetime
    ) -> None:
        if decision.change is not None:
            log.info("%s: %s", target.resource, decision.reason)
            change = decision.change
            self._change(
                target,
                capacity.desired,
                change.capacity,
                change.cause,
                now,
                policy=change.policy,
                cooldown_s=change.cooldown_s,
            )
        elif decision.refused is not None and decision.not_scaled is not None:
            self._note_not_scaled(target, capacity, decision, now)

    def _change(
        self,
        target: ScalableTarget,
        before: int,
        desired: int,
        cause: str,
        now: datetime,
        *,
        policy: str = "",
        cooldown_s: float = 0.0,
    ) -> None:
        """Ask the service for another capacity, and write what came of the asking."""
        kind = scalable(target.namespace, target.dimension)
        activity = ScalingActivity(
            target=target.key,
            number=self._next_number(),
            id=str(uuid4()),
            description=words.description(kind, desired),
            cause=cause,
            started=now,
            status="InProgress",
            message=words.waiting(kind, desired),
            before=before,
            desired=desired,
            policy=policy,
            cooldown_s=cooldown_s,
        )
        running = self._running(target.key)
        try:
            with self._records.transaction():
                if running is not None:
                    status, message = words.overridden(kind, running.desired, desired)
                    self._records.put(replace(running, status=status, message=message, ended=now))
                self._resources.set_capacity(target.key, desired, now)
                self._records.put(activity)
        except ServiceError as error:
            self._note_refusal(activity, error, now)

    def _note_refusal(self, activity: ScalingActivity, error: ServiceError, now: datetime) -> None:
        """Once for as long as it stays the same: the policy tries again every few seconds."""
        target = activity.target.split("|")
        kind = scalable(target[0], target[2])
        reason = words.refusal(kind, error.code, error.message)
        status, message = words.failed(kind, activity.desired, reason)
        earlier = self._records.all(ScalingActivity, prefix=f"{activity.target}|")
        is_known = earlier and (earlier[-1].message or "").startswith(message)
        if not is_known or earlier[-1].cause != activity.cause:
            log.warning("%s: %s", target[1], message)
            message = f"{message}; Request ID: {uuid4()})"
            self._records.put(replace(activity, status=status, message=message, ended=now))

    def _note_not_scaled(
        self, target: ScalableTarget, capacity: Capacity, decision: Decision, now: datetime
    ) -> None:
        """Once for as long as it stays the same: the policy is asked every few seconds."""
        assert decision.refused is not None
        assert decision.not_scaled is not None
        reasons = (decision.not_scaled.members(),)
        policy = decision.refused.policy
        earlier = [each for each in self._activities(target.key) if each.policy == policy]
        if earlier and earlier[-1].not_scaled == reasons:
            return
        self._records.put(
            ScalingActivity(
                target=target.key,
                number=self._next_number(),
                id=str(uuid4()),
                description=words.ATTEMPT,
                cause=decision.refused.cause,
                started=now,
                ended=now,
                status="Failed",
                before=capacity.desired,
                desired=capacity.desired,
                policy=policy,
                not_scaled=reasons,
            )
        )

    def _next_number(self) -> int:
        self._num_activities += 1
        return self._num_activities


def _past(activity: ScalingActivity, time_scale: float) -> Past:
    assert activity.ended is not None
    return Past(
        direction="out" if activity.desired > activity.before else "in",
        desired=activity.desired,
        ended=activity.ended,
        cooldown_s=activity.cooldown_s / time_scale,
    )
