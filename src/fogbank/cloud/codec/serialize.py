"""Target and result in, Response out; errors likewise, in the shape that clients read.

`serialize_error` stands in `serialize_error.py`; it is reachable from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.model import OperationModel, StructureShape

from fogbank.cloud.codec.model import operation_model, service_metadata
from fogbank.cloud.codec.request_ids import id_headers
from fogbank.cloud.codec.serialize_error import serialize_error
from fogbank.cloud.codec.write_json import cbor_writer, dump_cbor, dump_json, json_writer
from fogbank.cloud.codec.write_rest import rest_output
from fogbank.cloud.codec.write_xml import HEAD, element, escape, xml_writer
from fogbank.cloud.context import Response, Target

__all__ = ["serialize", "serialize_error"]


def serialize(target: Target, result: Mapping[str, Any], request_id: str) -> Response:
    """The answer of a successful operation.

    result: members of the output shape by their names; None ones are left out. A streaming blob is
    bytes or an async iterator of bytes (then give `ContentLength` too). A name that the model does
    not have, and an operation that answers an event stream, raise RuntimeError.
    """
    model = operation_model(target.service, target.operation)
    if model.has_event_stream_output:
        raise RuntimeError(f"{target.operation} answers an event stream, which is not written here")
    headers = id_headers(target.service, request_id)
    if target.protocol in ("rest-json", "rest-xml"):
        return rest_output(target.service, target.operation).write(result, headers)
    if target.protocol == "json":
        body = _json(target, model, result, headers)
    elif target.protocol == "smithy-rpc-v2-cbor":
        body = _cbor(target, model, result, headers)
    elif target.protocol == "query":
        body = _query(target, model, result, headers, request_id)
    elif target.protocol == "ec2":
        body = _ec2(target, model, result, headers, request_id)
    else:
        raise RuntimeError(f"{target.protocol} is not a protocol of this codec")
    headers["content-length"] = str(len(body))
    return Response(200, headers, body)


def _json(
    target: Target, model: OperationModel, result: Mapping[str, Any], headers: dict[str, str]
) -> bytes:
    version = service_metadata(target.service)["jsonVersion"]
    headers["content-type"] = f"application/x-amz-json-{version}"
    shape = model.output_shape
    if shape is None:
        # Operations without an output answer with an empty body.
        return _nothing(model, result)
    return dump_json(json_writer(target.service).of(shape)(result))


def _cbor(
    target: Target, model: OperationModel, result: Mapping[str, Any], headers: dict[str, str]
) -> bytes:
    headers["smithy-protocol"] = "rpc-v2-cbor"
    shape = model.output_shape
    if shape is None:
        return _nothing(model, result)
    headers["content-type"] = "application/cbor"
    return dump_cbor(cbor_writer(target.service).of(shape)(result))


def _query(
    target: Target,
    model: OperationModel,
    result: Mapping[str, Any],
    headers: dict[str, str],
    request_id: str,
) -> bytes:
    headers["content-type"] = "text/xml"
    pieces = [f'<{model.name}Response xmlns="{escape(_xmlns(target.service))}">']
    shape = model.output_shape
    if isinstance(shape, StructureShape):
        wrapper = str(shape.serialization.get("resultWrapper", f"{model.name}Result"))
        xml_writer(target.service).writer(shape)(pieces, wrapper, result)
    else:
        _nothing(model, result)
    pieces.append("<ResponseMetadata>")
    element(pieces, "RequestId", request_id)
    pieces.append(f"</ResponseMetadata></{model.name}Response>")
    return "".join(pieces).encode()


def _ec2(
    target: Target,
    model: OperationModel,
    result: Mapping[str, Any],
    headers: dict[str, str],
    request_id: str,
) -> bytes:
    headers["content-type"] = "text/xml;charset=UTF-8"
    pieces = [HEAD, f'<{model.name}Response xmlns="{escape(_xmlns(target.service))}">']
    element(pieces, "requestId", request_id)
    shape = model.output_shape
    if isinstance(shape, StructureShape):
        xml_writer(target.service).structure(shape).members(pieces, result)
    else:
        _nothing(model, result)
        pieces.append("<return>true</return>")
    pieces.append(f"</{model.name}Response>")
    return "".join(pieces).encode()


def _xmlns(service: str) -> str:
    namespace: str = service_metadata(service)["xmlNamespace"]
    return namespace


def _nothing(model: OperationModel, result: Mapping[str, Any]) -> bytes:
    if result:
        raise RuntimeError(f"{model.name} has no output, but {', '.join(result)} was returned")
    return b""
