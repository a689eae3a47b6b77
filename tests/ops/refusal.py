"""What boto3 raises when AWS refuses."""

from __future__ import annotations

from botocore.exceptions import ClientError


def refusal(operation: str, code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)
