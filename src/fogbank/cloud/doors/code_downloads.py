"""Zips of functions and layers, for those who hold a link (`services.lambda_.downloads`)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from fogbank.cloud.codec import hints
from fogbank.cloud.context import Request, Response
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.services.lambda_.downloads import PATH, DownloadLinks
from fogbank.core.clock import Clock

_PIECE_BYTES = 1 << 20


class CodeDownloads:
    """GET of a link gives the zip."""

    def __init__(self, links: DownloadLinks, clock: Clock) -> None:
        self._links = links
        self._clock = clock

    def takes(self, request: Request) -> bool:
        # Below a bucket's own host name it is an object's key like any other.
        return request.raw_path.startswith(PATH) and hints.host_bucket(request) is None

    async def handle(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return _refusal(405, "The specified method is not allowed against this resource.")
        query = dict(pair.partition("=")[::2] for pair in request.raw_query.split("&"))
        digest = request.raw_path.removeprefix(PATH)
        try:
            path = self._links.open(
                digest,
                query.get("expires", ""),
                query.get("signature", ""),
                self._clock.now(),
            )
            size_bytes = path.stat().st_size
        except ServiceError as error:
            return _refusal(error.status, error.message)
        except (LookupError, FileNotFoundError):
            return _refusal(404, "The code is no longer there.")
        headers = {"content-type": "application/zip", "content-length": str(size_bytes)}
        return Response(200, headers, b"" if request.method == "HEAD" else _pieces(path))


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as source:
        while piece := await asyncio.to_thread(source.read, _PIECE_BYTES):
            yield piece


def _refusal(status: int, message: str) -> Response:
    body = json.dumps({"message": message}).encode()
    return Response(status, {"content-type": "application/json"}, body)
