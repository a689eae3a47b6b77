"""Read a picture from S3, where the function was told that it may."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fogbank.front.refusals import BadEvent, HostNotAllowed, TimedOut, TooLarge

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PREFIX = re.compile(r"s3://[^/]+/")
_URI = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>.{1,1024})")


class StoredPictures:
    """prefixes: `s3://bucket/prefix/`; nothing else is read. max_bytes: how large one may be.

    Raises ValueError for a prefix without the slash behind its bucket: others begin like it.
    """

    def __init__(self, s3: S3Client, prefixes: Iterable[str], max_bytes: int) -> None:
        self._s3 = s3
        self._prefixes = tuple(prefixes)
        for prefix in self._prefixes:
            if _PREFIX.match(prefix) is None:
                raise ValueError(f"S3_PREFIXES: {prefix} is not of the form s3://bucket/prefix/")
        self._max_bytes = max_bytes

    def __call__(self, uri: str) -> bytes:
        """Raises BadEvent, HostNotAllowed, TooLarge, TimedOut."""
        parts = _URI.fullmatch(uri)
        # Clients fold "." and ".." away on the road: the object read would not be the one checked.
        if parts is None or {".", ".."} & set(parts["key"].split("/")):
            raise BadEvent("the address is not of the form s3://bucket/key")
        if not uri.startswith(self._prefixes):
            raise HostNotAllowed("objects of that bucket and prefix may not be read here")
        return self._read(parts["bucket"], parts["key"])

    def _read(self, bucket: str, key: str) -> bytes:
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectTimeoutError,
            ReadTimeoutError,
        )

        try:
            answer = self._s3.get_object(Bucket=bucket, Key=key)
            if answer["ContentLength"] > self._max_bytes:
                raise TooLarge(f"the picture is larger than {self._max_bytes:,} bytes")
            with answer["Body"] as body:
                return bytes(body.read())
        except ClientError as error:
            code = error.response["Error"].get("Code", "")
            if code in ("AccessDenied", "403"):
                # Also what S3 says of an object that is not there to who may not list the bucket.
                raise HostNotAllowed("the object may not be read, or is not there") from error
            raise BadEvent(f"S3 did not hand out the object: {code}") from error
        except (ConnectTimeoutError, ReadTimeoutError) as error:
            raise TimedOut("S3 took too long") from error
        except BotoCoreError as error:
            raise BadEvent("S3 did not hand out the object") from error
