"""A stranger's address, taken apart strictly, and whether its host is on the list. Pure.

One grammar, ours, decides: what two parsers read differently (`\\`, `@`, tabs, numbers as hosts)
is what hides a host from a check, so nothing is repaired and nothing unusual is let through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urljoin

from fogbank.front.refusals import BadEvent, HostNotAllowed

HTTPS_PORT = 443
MAX_URL_LENGTH = 2048

_URL = re.compile(
    r"https://(?P<host>[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>(?:/[^?#]*)?(?:\?[^#]*)?)(?:#.*)?",
    re.IGNORECASE | re.ASCII,  # without ASCII, the Kelvin sign is a k
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\\\ud800-\udfff]")
_LITERAL = "!$%&'()*+,-./:;=?@[]_~"
"""Characters of a path or query that stay as they are; what is already encoded is not encoded
again."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to ask, and for what. host: lower case, without a dot at its end. resource: path and
    query as they go into the request line."""

    host: str
    port: int
    resource: str

    @property
    def authority(self) -> str:
        return self.host if self.port == HTTPS_PORT else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.authority}{self.resource}"


def parse(url: str) -> Target:
    """Raises BadEvent for what is not a plain https address."""
    if len(url) > MAX_URL_LENGTH:
        raise BadEvent(f"the address is longer than {MAX_URL_LENGTH} characters")
    if _FORBIDDEN.search(url):
        raise BadEvent("the address has spaces, control characters or backslashes in it")
    if not url.lower().startswith("https://"):
        raise BadEvent("only addresses that begin with https:// are fetched")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise BadEvent(
            "the address is not of the form https://host/path (no user names, no IP addresses in "
            "brackets; international names as xn--...)"
        )
    port = int(parts["port"] or HTTPS_PORT)
    if not 0 < port < 65536:
        raise BadEvent(f"the address has an impossible port: {port}")
    resource = parts["target"] or "/"
    if not resource.startswith("/"):
        resource = f"/{resource}"
    return Target(_host(parts["host"]), port, quote(resource, safe=_LITERAL))


def _host(text: str) -> str:
    host = text.lower().removesuffix(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise BadEvent("the address has an impossible host name")
    return host


def follow(base: Target, location: str) -> Target:
    """Where a redirect leads. Raises BadEvent as `parse` does."""
    if len(location) > MAX_URL_LENGTH or _FORBIDDEN.search(location):
        raise BadEvent("the address redirects to something that is no address")
    return parse(urljoin(base.url, location))


class AllowedHosts:
    """The list: `images.example.com`, `*.example.com`, `images.example.com:8443`."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = [_entry(entry) for entry in entries]

    def check(self, target: Target) -> None:
        """Raises HostNotAllowed. An IP address is on no list, in whatever way it is written."""
        if not any(
            port == target.port
            and (target.host.endswith(name) if name.startswith(".") else target.host == name)
            for name, port in self._entries
        ):
            raise HostNotAllowed(f"pictures of {target.authority} may not be fetched here")


def _entry(text: str) -> tuple[str, int]:
    """(".example.com", 443) of "*.example.com"."""
    name, _, port = text.lower().partition(":")
    return name.removeprefix("*"), int(port or HTTPS_PORT)
