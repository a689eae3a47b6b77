"""The body of one request as it comes in: pieces from the connection, a stream for the gateway.

What nobody reads is held back in the client: beyond READ_AHEAD_BYTES the connection stops reading.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from fogbank.cloud.context import BodyStream
from fogbank.cloud.errors import ServiceError

READ_AHEAD_BYTES = 64 * 1024

MAX_UNREAD_BYTES = 8 * 1024 * 1024
"""How much of a refused body is read away before the connection is closed instead."""


class BodySource(Protocol):
    """The connection that the body comes over."""

    def ask(self) -> None:
        """Tell the client that its body is wanted (`100 Continue`)."""
        ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class RequestBody:
    """waits_to_be_asked: the client sends the body when it has got `100 Continue`."""

    def __init__(self, source: BodySource, *, waits_to_be_asked: bool) -> None:
        self._source = source
        self._waits = waits_to_be_asked
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._ended = False
        self._lost = False
        self._news: asyncio.Future[None] | None = None

    def feed(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size_bytes += len(piece)
        if self._size_bytes > READ_AHEAD_BYTES:
            self._source.pause()
        self._tell()

    def end(self) -> None:
        """The last piece has come."""
        self._ended = True
        self._tell()

    def lose(self) -> None:
        """The client has gone in the middle."""
        self._lost = not self._ended
        self._tell()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def pieces(self) -> BodyStream:
        """Raises ServiceError (IncompleteBody) where the client goes away in the middle."""
        if self._waits and not self._ended:
            self._waits = False
            self._source.ask()
        while True:
            if self._pieces:
                taken, self._pieces, self._size_bytes = self._pieces, [], 0
                yield taken[0] if len(taken) == 1 else b"".join(taken)
            elif self._ended:
                return
            elif self._lost:
                raise ServiceError(
                    "IncompleteBody", "The client went away before it had sent the whole body."
                )
            else:
                self._news = asyncio.get_running_loop().create_future()
                self._source.resume()
                await self._news

    async def finish(self) -> bool:
        """Whether the connection can take another request after this one's answer.

        An answer that comes before the body has been read leaves it in the connection, where it
        would be taken for the next request. A client that waits for `100 Continue` never sends it;
        of the others, a little is read away so that they find the answer.
        """
        if self._ended:
            return True
        if self._waits:
            return False
        left_bytes = MAX_UNREAD_BYTES
        try:
            async for piece in self.pieces():
                left_bytes -= len(piece)
                if left_bytes < 0:
                    return False
        except ServiceError:  # it has gone: nobody to answer
            return False
        return True
