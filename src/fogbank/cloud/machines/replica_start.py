"""How a replica is put together: folder, log stream, environment, command.

In: a Variant and a lease. Out: a `Replica` that starts itself. Variables: those of the SageMaker
inference toolkit and ContainerDefinition (API reference).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fogbank.cloud.machines import opt_ml
from fogbank.cloud.machines.engine import Bind, InstanceSpec
from fogbank.cloud.machines.log_capture import LogCapture
from fogbank.cloud.machines.model_data import ModelStore
from fogbank.cloud.machines.replica import PORT, Replica
from fogbank.cloud.machines.shares import Lease
from fogbank.cloud.machines.site import Site
from fogbank.cloud.records.hosting import Variant

INFERENCE_IMAGE = "fogbank.images.inference"

CREDENTIALS_S = 30 * 24 * 3600
"""How long a replica's credentials last; one that is replaced gets new ones."""


class ReplicaStarter:
    """Implements `hosting.StartReplica`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._models = ModelStore(site.objects)

    def __call__(
        self,
        replica_id: str,
        endpoint: str,
        variant: Variant,
        lease: Lease,
        changed: Callable[[], None],
        provision_s: float,
    ) -> Replica:
        folder = self._site.hosting_root / f"{endpoint}-{replica_id}"
        capture = LogCapture(
            self._site.logs,
            f"/aws/sagemaker/Endpoints/{endpoint}",
            f"{variant.name}/{replica_id}",
            self._site.clock,
        )
        return Replica(
            id=replica_id,
            variant=variant,
            lease=lease,
            engine=self._site.engine,
            models=self._models,
            capture=capture,
            clock=self._site.clock,
            spec=lambda: self._spec(replica_id, endpoint, variant, lease, folder, capture),
            folder=folder,
            changed=changed,
            provision_s=provision_s,
        )

    def _spec(
        self,
        replica_id: str,
        endpoint: str,
        variant: Variant,
        lease: Lease,
        folder: Path,
        capture: LogCapture,
    ) -> InstanceSpec:
        site = self._site
        image = str(variant.container.get("Image", ""))
        base = folder / "ml"
        return InstanceSpec(
            name=f"endpoint/{endpoint}/{variant.name}/{replica_id}",
            folder=folder,
            base=base,
            argv=site.images.command(image, INFERENCE_IMAGE),
            env=self._environment(image, variant, lease, base),
            cwd=base,
            share=lease.share,
            address=lease.address,
            output=capture.feed,
            # Not behind everything else as training is: somebody waits for each answer.
            nice=0,
            hidden=(site.home,) if site.engine.can_mount else (),
            kept=(site.torch_home, site.overlays, *site.images.folders_in(site.home)),
            binds=(Bind(base, opt_ml.ROOT),) if site.engine.can_mount else (),
        )

    def _environment(
        self, image: str, variant: Variant, lease: Lease, base: Path
    ) -> dict[str, str]:
        site = self._site
        role = variant.execution_role_arn
        try:
            credentials = site.keyring.issue_role_session(
                role, "SageMaker", duration_s=CREDENTIALS_S, now=site.clock.now()
            )
        except LookupError:
            raise LookupError(f"the role {role} of the model does not exist") from None
        given = variant.container.get("Environment") or {}
        return {
            **site.images.environment(image),
            "PYTHONUNBUFFERED": "1",
            "TORCH_HOME": str(site.torch_home),
            **{name: opt_ml.rewrite(value, base) for name, value in given.items()},
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_BIND_TO_PORT": str(PORT),
            "FOGBANK_BIND_HOST": lease.address,
            "FOGBANK_OVERLAYS": str(site.overlays),
            "AWS_REGION": site.scope.region,
            "AWS_DEFAULT_REGION": site.scope.region,
            "AWS_ENDPOINT_URL": site.endpoint_url,
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
            "AWS_SESSION_TOKEN": credentials.session_token,
        }
