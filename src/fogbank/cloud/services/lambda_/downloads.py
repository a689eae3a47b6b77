"""Links to zips: what GetFunction and GetLayerVersion give as Location.

A link carries its own permission: it names the zip, says until when it is good, and is signed with
a key that only this process has. Nothing but the zip that was asked about can be had with it.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from fogbank.cloud.errors import AccessDenied
from fogbank.cloud.ports import FunctionCode

PATH = "/_lambda-code/"
LIFETIME = timedelta(minutes=10)
"""How long AWS's links are good (API reference, FunctionCodeLocation and GetLayerVersion)."""


class DownloadLinks:
    """Makes links and opens them again. endpoint_url: where clients find the cloud."""

    def __init__(self, code: FunctionCode, endpoint_url: str) -> None:
        self._code = code
        self._endpoint_url = endpoint_url
        self._key = secrets.token_bytes(32)

    def link(self, code_sha256: str, now: datetime) -> str:
        """The address of a zip, good for ten minutes and until the cloud is restarted."""
        digest = b64decode(code_sha256).hex()
        expires = int((now + LIFETIME).timestamp())
        signature = self._signature(digest, expires)
        return f"{self._endpoint_url}{PATH}{digest}?expires={expires}&signature={signature}"

    def open(self, digest: str, expires: str, signature: str, now: datetime) -> Path:
        """The zip of a link. Raises AccessDenied for one that is not ours or no longer good,
        LookupError for a zip that is gone."""
        until = int(expires) if expires.isascii() and expires.isdigit() else 0
        given, wanted = signature.encode(), self._signature(digest, until).encode()
        if not hmac.compare_digest(given, wanted):
            raise AccessDenied("The link to this code is not a valid one.", status=403)
        if now.timestamp() >= until:
            raise AccessDenied("Request has expired", status=403)
        return self._code.archive(b64encode(bytes.fromhex(digest)).decode("ascii"))

    def _signature(self, digest: str, expires: int) -> str:
        return hmac.new(self._key, f"{digest} {expires}".encode(), sha256).hexdigest()
