"""Request bodies in, pictures out.

image/jpeg, image/png, ..., application/x-image, application/octet-stream    one picture
application/json    {"image": "<base64>"} or {"instances": [{"image": "<base64>"}, ...]},
                    with "top": 3 for labels and probabilities instead of scores
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from fogbank.vision.errors import BadRequest, NotAPicture, UnsupportedContentType
from fogbank.vision.preprocess import decode

MAX_PICTURES = 64
"""In one request. An endpoint's body limit of 6 MB allows no more of useful size anyway."""

_BYTES_TYPES = ("application/x-image", "application/octet-stream")
_FORM = '{"image": "<base64>"} or {"instances": [{"image": "<base64>"}, ...]}'


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What one request asks about."""

    pictures: tuple[Image.Image, ...]
    """Upright, RGB."""
    top: int | None = None
    """How many labels to answer with; None: scores alone, unless `Accept` asks for more."""


def read_request(body: bytes | bytearray | memoryview | str, content_type: str) -> Pictures:
    """The pictures of a request.

    Raises:
        UnsupportedContentType: neither pictures nor JSON.
        NotAPicture, BadRequest: the content is not what its type says.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json":
        return _from_json(body)
    if media_type in _BYTES_TYPES or media_type.startswith("image/"):
        if isinstance(body, str):
            raise NotAPicture("the body is text, not the bytes of a picture")
        return Pictures(pictures=(decode(bytes(body)),))
    raise UnsupportedContentType(
        f"content type {content_type!r} is not supported: send image/jpeg, image/png, "
        f"{', '.join(_BYTES_TYPES)} or application/json"
    )


def _from_json(body: bytes | bytearray | memoryview | str) -> Pictures:
    try:
        content = json.loads(body if isinstance(body, str) else bytes(body))
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadRequest(f"the body must be an object: {_FORM}")
    top = content.get("top")
    if top is not None and (isinstance(top, bool) or not isinstance(top, int) or top < 1):
        raise BadRequest(f'"top" must be a positive whole number, not {top!r}')
    if "instances" in content:
        instances = content["instances"]
        if not isinstance(instances, list) or not instances:
            raise BadRequest(f'"instances" must be a list with at least one entry: {_FORM}')
        if len(instances) > MAX_PICTURES:
            raise BadRequest(f"{len(instances)} pictures in one request; at most {MAX_PICTURES}")
        return Pictures(pictures=_decode_all(instances), top=top)
    return Pictures(pictures=(_decode_entry(content, "the body"),), top=top)


def _decode_all(instances: Sequence[object]) -> tuple[Image.Image, ...]:
    return tuple(
        _decode_entry(entry, f"instances[{index}]") for index, entry in enumerate(instances)
    )


def _decode_entry(entry: object, where: str) -> Image.Image:
    text = entry.get("image") if isinstance(entry, dict) else None
    if not isinstance(text, str):
        raise BadRequest(
            f'{where} has no "image" of base64 text: {_FORM}. Addresses of pictures are not '
            "fetched: an endpoint reads only what it is sent"
        )
    if text.startswith("data:"):  # as browsers produce them
        text = text.partition(",")[2]
    try:
        picture = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f'{where}: "image" is not base64: {error}') from error
    try:
        return decode(picture)
    except NotAPicture as error:
        raise NotAPicture(f"{where}: {error}") from error
