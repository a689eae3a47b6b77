"""Application Auto Scaling in memory, as far as `fogbank.ops` uses it."""

from __future__ import annotations

from typing import Any


class FakeScaling:
    """Targets, policies and scheduled actions, by resource."""

    def __init__(self) -> None:
        self.targets: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, dict[str, dict[str, Any]]] = {}
        self.actions: dict[str, dict[str, dict[str, Any]]] = {}
        self.tags: dict[str, dict[str, str]] = {}

    def describe_scalable_targets(self, *, ResourceIds: list[str], **key: str) -> dict[str, Any]:
        return {"ScalableTargets": [self.targets[i] for i in ResourceIds if i in self.targets]}

    def describe_scaling_policies(
        self, *, ResourceId: str, PolicyNames: list[str], **key: str
    ) -> dict[str, Any]:
        found = self.policies.get(ResourceId, {})
        return {"ScalingPolicies": [found[name] for name in PolicyNames if name in found]}

    def describe_scheduled_actions(self, *, ResourceId: str, **key: str) -> dict[str, Any]:
        return {"ScheduledActions": list(self.actions.get(ResourceId, {}).values())}

    def register_scalable_target(
        self, *, ResourceId: str, Tags: dict[str, str] | None = None, **target: Any
    ) -> None:
        """What is not given stays as it is; tags are of a new target alone."""
        arn = f"arn:aws:application-autoscaling:us-east-1:123456789012:scalable-target/{ResourceId}"
        if ResourceId not in self.targets:
            self.tags[arn] = dict(Tags or {})
        found = self.targets.setdefault(
            ResourceId, {"ResourceId": ResourceId, "ScalableTargetARN": arn}
        )
        suspended = {**found.get("SuspendedState", {}), **target.pop("SuspendedState", {})}
        found.update(target, SuspendedState=suspended)

    def list_tags_for_resource(self, *, ResourceARN: str) -> dict[str, Any]:
        return {"Tags": dict(self.tags[ResourceARN])}

    def tag_resource(self, *, ResourceARN: str, Tags: dict[str, str]) -> None:
        self.tags[ResourceARN].update(Tags)

    def untag_resource(self, *, ResourceARN: str, TagKeys: list[str]) -> None:
        for key in TagKeys:
            self.tags[ResourceARN].pop(key, None)

    def put_scaling_policy(self, **policy: Any) -> None:
        self.policies.setdefault(policy["ResourceId"], {})[policy["PolicyName"]] = policy

    def put_scheduled_action(self, **action: Any) -> None:
        actions = self.actions.setdefault(action["ResourceId"], {})
        actions[action["ScheduledActionName"]] = action

    def delete_scheduled_action(self, *, ScheduledActionName: str, **key: str) -> None:
        del self.actions[key["ResourceId"]][ScheduledActionName]

    def deregister_scalable_target(self, **key: str) -> None:
        for kept in (self.targets, self.policies, self.actions):
            kept.pop(key["ResourceId"], None)
