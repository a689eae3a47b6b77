"""The default bucket, by either version."""

import sys

import outside

if sys.argv[1] == "sdk-v2":
    from sagemaker import Session
else:
    from sagemaker.core.helper.session_helper import Session

session = Session()
outside.tell(bucket=session.default_bucket(), again=Session().default_bucket())
