"""Clients, and what is made of botocore's exceptions."""

from __future__ import annotations

import socket

import pytest
from botocore.exceptions import ClientError, NoRegionError

from fogbank.aws import Aws, Credentials, explained, is_missing
from fogbank.core.errors import WorldError

KEYS = Credentials(access_key_id="A", secret_access_key="S", session_token="T")


def error(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DoThings")


def nobody_listens() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_clients_are_made_once_with_one_policy() -> None:
    aws = Aws(url="http://127.0.0.1:1", account="1" * 12, region="eu-west-1", credentials=KEYS)
    assert aws.s3 is aws.client("s3")
    assert aws.s3.meta.region_name == "eu-west-1"
    assert aws.s3.meta.config.s3["addressing_style"] == "path"
    assert aws.runtime.meta.config.read_timeout > 60  # type: ignore[attr-defined]
    for client in (aws.iam, aws.sts, aws.logs, aws.sagemaker):
        assert client.meta.endpoint_url == "http://127.0.0.1:1"


def test_a_cloud_that_does_not_answer() -> None:
    aws = Aws(url=nobody_listens(), account="1" * 12, region="eu-west-1", credentials=KEYS)
    with (
        pytest.raises(WorldError, match=r"could not ask.*does not answer.*fogbank cloud start"),
        explained("ask who I am", aws.url),
    ):
        aws.sts.get_caller_identity()


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (error("AccessDenied"), "DoThings answered AccessDenied: no .*permission"),
        (error("ExpiredToken"), "fogbank env"),
        (error("InvalidClientTokenId"), "FOGBANK_HOME"),
        (error("Throttling", "slow down"), r"answered Throttling: slow down$"),
        (NoRegionError(), "region"),
    ],
)
def test_refusals_say_what_to_do(raised: Exception, words: str) -> None:
    with pytest.raises(WorldError, match=words), explained("do things", "http://x"):
        raise raised


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), explained("do things", "http://x"):
        raise ZeroDivisionError


@pytest.mark.model
@pytest.mark.parametrize(
    ("raised", "missing"),
    [
        (error("404", "Not Found"), True),
        (error("NoSuchEntity"), True),
        (error("ValidationException", 'Could not find model "arn".'), True),
        (error("ValidationException", "Requested resource not found."), True),
        (error("ValidationException", "1 validation error detected"), False),
        (error("AccessDenied"), False),
        (KeyError("NoSuchEntity"), False),
    ],
)
def test_what_means_that_it_does_not_exist(raised: Exception, missing: bool) -> None:
    assert is_missing(raised) is missing
