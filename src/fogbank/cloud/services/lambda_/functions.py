"""CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions, DeleteFunction,
UpdateFunctionCode, UpdateFunctionConfiguration."""

from __future__ import annotations

from dataclasses import replace

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ValidationException
from fogbank.cloud.ports import Records
from fogbank.cloud.records.base import Record
from fogbank.cloud.records.function import (
    LATEST,
    Alias,
    EventInvokeConfig,
    Function,
    FunctionPolicy,
    FunctionUrl,
    FunctionVersion,
    ProvisionedConcurrency,
    QueuedEvent,
)
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.rules import function_settings as rules
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.lambda_.code import CodeIntake
from fogbank.cloud.services.lambda_.description import brief, configuration
from fogbank.cloud.services.lambda_.directory import Directory
from fogbank.cloud.services.lambda_.downloads import DownloadLinks
from fogbank.cloud.services.lambda_.names import MAX_NAME_CHARS, named, unqualified
from fogbank.cloud.services.lambda_.paging import page
from fogbank.cloud.services.lambda_.refusals import check_revision, conflict, invalid
from fogbank.cloud.services.lambda_.settings import SettingsReader
from fogbank.cloud.services.lambda_.tags import checked_tags
from fogbank.cloud.services.lambda_.versions import (
    UPDATING,
    check_idle,
    new_revision,
    publish,
)

_PARTS: tuple[type[Record], ...] = (
    Alias,
    EventInvokeConfig,
    FunctionPolicy,
    FunctionUrl,
    FunctionVersion,
    ProvisionedConcurrency,
    QueuedEvent,
)
"""What goes when its function goes; their keys begin with the function's name and a colon."""

_CODE_MEMBERS = (
    "ZipFile",
    "S3Bucket",
    "S3Key",
    "S3ObjectVersion",
    "S3ObjectStorageMode",
    "ImageUri",
    "SourceKMSKeyArn",
)


class Functions:
    """Functions and what their `$LATEST` is. Everything starts Pending or InProgress: the machine
    makes it Active or Successful."""

    def __init__(
        self,
        *,
        records: Records,
        directory: Directory,
        intake: CodeIntake,
        settings: SettingsReader,
        links: DownloadLinks,
    ) -> None:
        self._records = records
        self._directory = directory
        self._intake = intake
        self._settings = settings
        self._links = links

    @operation("CreateFunction")
    async def create(self, context: Context, params: Params) -> Result:
        name = unqualified(params, self._directory.scope)
        _check_name(name)
        self._check_free(name)
        self._settings.check_create(params)
        tags = checked_tags(params.get("Tags", {}))
        version = self._settings.apply(self._blank(name, context), params, "CreateFunction")
        archive = await self._intake.take(context, params["Code"], "CreateFunction")
        self._intake.check_size(archive.sha256, version.layers)
        version = replace(version, code_sha256=archive.sha256, code_size_bytes=archive.size_bytes)
        self._check_free(name)  # the zip took its time
        function = Function(name=name, arn=version.arn, created=context.received)
        with self._records.transaction():
            self._records.put(function, version)
            if tags:
                self._records.put(Tags(arn=function.arn, tags=tags))
            if params.get("Publish"):
                number = publish(self._records, function, version, context.received).version
                # The answer shows the number, and all else as it stands for $LATEST.
                version = replace(version, version=number)
        return self._shown(version)

    @operation("GetFunction")
    def get(self, context: Context, params: Params) -> Result:
        target = named(params, self._directory.scope)
        version = self._directory.shown(target)
        function = self._directory.function(target.name)
        answer = {
            "Configuration": self._shown(version, self._arn(params)),
            "Code": {
                "RepositoryType": "S3",
                "Location": self._links.link(version.code_sha256, context.received),
            },
        }
        tags = self._records.get(Tags, function.arn)
        if tags is not None and tags.tags:
            answer["Tags"] = dict(tags.tags)
        if function.reserved_concurrency is not None:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved_concurrency}
        return answer

    @operation("GetFunctionConfiguration")
    def get_configuration(self, context: Context, params: Params) -> Result:
        target = named(params, self._directory.scope)
        return self._shown(self._directory.shown(target), self._arn(params))

    @operation("ListFunctions")
    def list(self, context: Context, params: Params) -> Result:
        """FunctionVersion ALL: every version, each with its number in the ARN."""
        every = params.get("FunctionVersion") == "ALL"
        found = [
            version
            for version in self._records.all(FunctionVersion)
            if every or version.version == LATEST
        ]
        shown, more = page(params, found, lambda version: version.key)
        return {
            "Functions": [
                brief(
                    version,
                    self._intake.layer_size,
                    arn=self._directory.arn(version.function, version.version if every else ""),
                )
                for version in shown
            ],
            **more,
        }

    @operation("DeleteFunction")
    def delete(self, context: Context, params: Params) -> Result:
        target = named(params, self._directory.scope)
        function = self._directory.function(target.name, target.qualifier)
        if target.qualifier == LATEST:
            raise invalid("$LATEST version cannot be deleted without deleting the function.")
        if target.is_alias:
            raise invalid("Deletion of aliases is not currently supported.")
        if target.qualifier:
            self._delete_version(target.name, target.qualifier)
            return {"StatusCode": 204}
        with self._records.transaction():
            for kind in _PARTS:
                for part in self._records.all(kind, prefix=f"{function.name}:"):
                    self._records.delete(kind, part.key)
            self._records.delete(Tags, function.arn)
            self._records.delete(Function, function.key)
        return {"StatusCode": 204}

    @operation("UpdateFunctionCode")
    async def update_code(self, context: Context, params: Params) -> Result:
        """A dry run says what would be, and changes nothing."""
        name = unqualified(params, self._directory.scope)
        before = self._updatable(name, params)
        source = {member: params[member] for member in _CODE_MEMBERS if member in params}
        archive = await self._intake.take(context, source, "UpdateFunctionCode")
        before = self._updatable(name, params)  # the zip took its time
        self._intake.check_size(archive.sha256, before.layers)
        settings = dict(before.settings)
        if "Architectures" in params:
            settings["Architectures"] = params["Architectures"]
        after = replace(
            before,
            code_sha256=archive.sha256,
            code_size_bytes=archive.size_bytes,
            settings=settings,
        )
        if params.get("DryRun"):
            return self._shown(after)
        return self._updated(after, context, publishes=bool(params.get("Publish")))

    @operation("UpdateFunctionConfiguration")
    def update_configuration(self, context: Context, params: Params) -> Result:
        name = unqualified(params, self._directory.scope)
        before = self._updatable(name, params)
        after = self._settings.apply(before, params, "UpdateFunctionConfiguration")
        self._intake.check_size(after.code_sha256, after.layers)
        return self._updated(after, context, publishes=False)

    def _updatable(self, name: str, params: Params) -> FunctionVersion:
        version = self._directory.latest(name)
        check_revision(params.get("RevisionId"), version.revision_id)
        check_idle(version)
        return version

    def _updated(self, version: FunctionVersion, context: Context, *, publishes: bool) -> Result:
        version = replace(
            version, modified=context.received, revision_id=new_revision(), **UPDATING
        )
        with self._records.transaction():
            self._records.put(version)
            if publishes:
                function = self._directory.function(version.function)
                version = publish(self._records, function, version, context.received)
        return self._shown(version)

    def _delete_version(self, name: str, number: str) -> None:
        """A version that does not exist is no error (observed). Refused while an alias needs it."""
        using = [
            alias.name
            for alias in self._directory.aliases(name)
            if number == alias.version or number in alias.weights
        ]
        if using:
            raise conflict(
                "Unable to delete version because the following aliases reference it: "
                f"[{', '.join(using)}]"
            )
        key = f"{name}:{number}"
        with self._records.transaction():
            for kind in (
                FunctionVersion,
                EventInvokeConfig,
                FunctionPolicy,
                ProvisionedConcurrency,
            ):
                self._records.delete(kind, key)

    def _check_free(self, name: str) -> None:
        if self._records.get(Function, name) is not None:
            raise conflict(f"Function already exist: {name}")

    def _blank(self, name: str, context: Context) -> FunctionVersion:
        """A version that has nothing yet but the defaults."""
        return FunctionVersion(
            function=name,
            version=LATEST,
            arn=self._directory.arn(name),
            runtime="",
            handler="",
            role_arn="",
            code_sha256="",
            code_size_bytes=0,
            timeout_s=rules.DEFAULT_TIMEOUT_S,
            memory_mb=rules.DEFAULT_MEMORY_MB,
            ephemeral_storage_mb=rules.DEFAULT_EPHEMERAL_STORAGE_MB,
            modified=context.received,
            revision_id=new_revision(),
            state="Pending",
            state_reason="The function is being created.",
            state_reason_code="Creating",
        )

    def _arn(self, params: Params) -> str:
        """With the qualifier that the caller gave: `$LATEST`, an alias' name."""
        target = named(params, self._directory.scope)
        return self._directory.arn(target.name, target.qualifier)

    def _shown(self, version: FunctionVersion, arn: str | None = None) -> Result:
        return configuration(version, self._intake.layer_size, arn=arn)


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME_CHARS:
        raise ValidationException(
            f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy "
            f"constraint: Member must have length less than or equal to {MAX_NAME_CHARS}"
        )
