"""The training code: `code/<hash of its contents>/sourcedir.tar.gz` in the bucket."""

from __future__ import annotations

from dataclasses import dataclass

from fogbank.aws import Aws, existing
from fogbank.core.errors import InputError
from fogbank.ops import archive
from fogbank.ops.names import Names
from fogbank.ops.step import Step
from fogbank.ops.survey import Code, CodeFile, digest_of, read_members
from fogbank.ops.world import World


@dataclass(frozen=True, kw_only=True)
class Desired:
    bucket: str
    key: str
    code: Code

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def desired(code: Code, names: Names) -> Desired:
    return Desired(bucket=names.bucket, key=f"code/{code.digest[:16]}/sourcedir.tar.gz", code=code)


def observe(aws: Aws, bucket: str, key: str) -> bool:
    """Whether the object is there. (Its name says what is in it.)"""
    return existing(aws.s3.head_object, Bucket=bucket, Key=key) is not None


def diff(desired: Desired, found: bool) -> list[Step]:
    if found:
        return []
    return [
        Step(
            kind="code",
            verb="upload",
            name=desired.uri,
            message=f"upload the training code ({', '.join(_some_names(desired.code))})",
            reason="this version is not in S3",
            request={
                "bucket": desired.bucket,
                "key": desired.key,
                "digest": desired.code.digest,
                "members": members_of(desired.code),
            },
        )
    ]


def _some_names(code: Code) -> list[str]:
    names = [member.name for member in code.members]
    return names if len(names) <= 3 else [*names[:3], f"and {len(names) - 3} more"]


def members_of(code: Code) -> list[dict[str, str]]:
    """For a step's request."""
    return [{"name": member.name, "path": str(member.path)} for member in code.members]


def contents_of(step: Step) -> dict[str, bytes]:
    """The files of a step's request, read now.

    Raises InputError where they are no longer what the plan was made for: what is stored under a
    hash must be what was hashed.
    """
    from pathlib import Path

    members = [CodeFile(item["name"], Path(item["path"])) for item in step.request["members"]]
    contents = read_members(members)
    if digest_of(contents) != step.request["digest"]:
        raise InputError(
            f"{', '.join(sorted(contents))}: changed while this command ran. Give it again."
        )
    return contents


def apply(world: World, step: Step) -> None:
    assert step.verb == "upload", f"no way to {step.verb} code"
    world.aws.s3.put_object(
        Bucket=step.request["bucket"],
        Key=step.request["key"],
        Body=archive.pack(contents_of(step)),
        ContentType="application/gzip",
    )
