"""Who version 2 believes to be: on a notebook instance a role, outside somebody who is none."""

import sys

import boto3
import outside
import sagemaker

inside = sagemaker.get_execution_role()

session = sagemaker.Session(boto3.Session(*sys.argv[1:], region_name="us-east-1"))
try:
    refusal = f"not refused: {sagemaker.get_execution_role(session)}"
except ValueError as error:
    refusal = str(error)
outside.tell(
    inside=inside,
    refusal=refusal,
    named=session.expand_role(inside.rpartition("/")[2]),
    default=sagemaker.get_execution_role(session, use_default=True),
    bucket=session.default_bucket(),
)
