"""Target and Request in, the operation's input out: by member names, timestamps as aware
datetimes, blobs as bytes, a streaming blob as the stream that it came in.
"""

from __future__ import annotations

from typing import Any

from fogbank.cloud.codec.malformed import serialization
from fogbank.cloud.codec.model import operation_model
from fogbank.cloud.codec.read_json import cbor_reader, json_reader, load_cbor, load_json
from fogbank.cloud.codec.read_query import ec2_reader, form_tree, query_reader
from fogbank.cloud.codec.read_rest import rest_input
from fogbank.cloud.context import BodyStream, Request, Target


def parse(target: Target, request: Request, body: BodyStream | None) -> dict[str, Any]:
    """The input of `target`'s operation.

    body: the verified stream, which becomes the value of a streaming member; None where
    `request.body` holds the whole body. Raises ServiceError (`SerializationException`,
    `MalformedXML` ...) for what does not have the model's types; members that the model does not
    have are ignored.
    """
    try:
        params = _parse(target, request, body)
    except RecursionError:
        raise serialization("The request body is nested too deeply.") from None
    if target.service == "s3":
        _undo_chunking(params, request)
    return params


def _parse(target: Target, request: Request, body: BodyStream | None) -> dict[str, Any]:
    if target.protocol in ("rest-json", "rest-xml"):
        return rest_input(target.service, target.operation).read(target.path_params, request, body)
    shape = operation_model(target.service, target.operation).input_shape
    if shape is None:
        return {}
    content = request.body or b""
    found: Any
    if target.protocol == "json":
        found = json_reader(target.service).of(shape)(load_json(content))
    elif target.protocol == "smithy-rpc-v2-cbor":
        found = cbor_reader(target.service).of(shape)(load_cbor(content))
    elif target.protocol == "query":
        tree = form_tree(content, request.raw_query)
        found = query_reader(target.service).of(shape)(tree, "")
    elif target.protocol == "ec2":
        tree = form_tree(content, request.raw_query)
        found = ec2_reader(target.service).of(shape)(tree, "")
    else:
        raise RuntimeError(f"{target.protocol} is not a protocol of this codec")
    params: dict[str, Any] = found
    return params


def _undo_chunking(params: dict[str, Any], request: Request) -> None:
    """S3 stores neither the framing of an aws-chunked body nor its name."""
    encoding = params.get("ContentEncoding")
    if encoding is not None:
        kept = [part.strip() for part in encoding.split(",")]
        kept = [part for part in kept if part and part != "aws-chunked"]
        if kept:
            params["ContentEncoding"] = ",".join(kept)
        else:
            del params["ContentEncoding"]
    length = request.headers.get("x-amz-decoded-content-length")
    if length.isdigit() and "ContentLength" in params:
        params["ContentLength"] = int(length)
