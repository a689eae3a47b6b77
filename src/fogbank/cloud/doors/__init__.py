"""What the cloud answers besides AWS's API: addresses of functions, links to their code.

A door is asked before the gateway whether a request is for it.
"""

from __future__ import annotations

from typing import Protocol

from fogbank.cloud.context import Request, Response


class Door(Protocol):
    """Answers some requests by itself."""

    def takes(self, request: Request) -> bool:
        """Whether the request is for this door. Reads nothing but method, path and headers."""
        ...

    async def handle(self, request: Request) -> Response:
        """Never raises: what goes wrong becomes an error answer."""
        ...
