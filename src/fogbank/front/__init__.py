"""The front: what a Lambda function does between a stranger and an endpoint.

Comes in: an event with a picture (`url`, `s3` or `image`). Goes out: the endpoint's scores, or a
refusal with a status. It stands alone - standard library and boto3, nothing else of Fogbank -
because it travels inside the function's zip and runs on AWS as it runs here. A `function.py`:

    front = Front.from_environment()

    def handler(event, context):
        try:
            picture = front.picture(event, context)
            result = front.classify(picture)
        except Refusal as refusal:
            return front.refuse(refusal, event, context)
        return front.answer(result, event, context)
"""

from fogbank.front.endpoint import Result
from fogbank.front.formats import Picture
from fogbank.front.front import Front
from fogbank.front.refusals import Refusal
from fogbank.front.settings import Settings

__all__ = ["Front", "Picture", "Refusal", "Result", "Settings"]
