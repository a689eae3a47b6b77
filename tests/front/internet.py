"""An internet in memory: a resolver and hosts that do what a case of the table says."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from front.pictures import png

MAX_BYTES = 100_000

BODIES: Mapping[str, Callable[[], bytes]] = {
    "picture": png,
    "picture and more": lambda: png() + b"x" * 500_000,
    "html": lambda: b"<html><script>alert(1)</script></html>",
    "gzip": lambda: gzip.compress(bytes(10_000_000)),
    "large": lambda: png() + b"x" * 500_000,
    "bomb": lambda: png(50_000, 50_000),
    "nothing": lambda: b"",
}


class ManualTime:
    """Seconds that pass when somebody waits."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float, at_most_s: float | None) -> None:
        """Raises TimeoutError where the waiter has no patience for all of it."""
        if at_most_s is not None and seconds > at_most_s:
            self.now_s += at_most_s
            raise TimeoutError
        self.now_s += seconds


class ScriptedStream:
    """One connection: takes the request, hands out the answer bit by bit."""

    def __init__(self, answer: Mapping[str, Any], time: ManualTime) -> None:
        self._left = memoryview(wire(answer))
        self._bytes_per_read = int(answer.get("bytes_per_read", 1 << 16))
        self._seconds_per_read = float(answer.get("seconds_per_read", 0))
        self._time = time
        self._timeout_s: float | None = None
        self.sent = b""
        self.num_read = 0
        self.is_closed = False

    def settimeout(self, value: float | None, /) -> None:
        assert value is None or value > 0, "0 would mean: do not wait at all"
        self._timeout_s = value

    def recv_into(self, buffer: Any, /) -> int:
        assert not self.is_closed
        self._time.wait(self._seconds_per_read, self._timeout_s)
        size = min(len(buffer), self._bytes_per_read, len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        self.num_read += size
        return size

    def sendall(self, data: bytes, /) -> None:
        self.sent += data

    def close(self) -> None:
        self.is_closed = True


def wire(answer: Mapping[str, Any]) -> bytes:
    """The bytes of an answer; what the case leaves out is that of a good picture."""
    if "raw" in answer:
        return str(answer["raw"]).encode() + str(answer.get("then", "")).encode() * int(
            answer.get("times", 0)
        )
    body = BODIES[answer.get("body", "picture")]()
    headers: dict[str, str | None] = {"Content-Type": "image/png"}
    if answer.get("chunked"):
        body = b"".join(
            b"%x\r\n%s\r\n" % (len(part), part)
            for part in (body[start : start + 1000] for start in range(0, len(body), 1000))
        )
        body += b"0\r\n\r\n"
        headers["Transfer-Encoding"] = "chunked"
    else:
        headers["Content-Length"] = str(len(body))
    headers.update(answer.get("headers", {}))
    if headers.get("Content-Length") == "picture":
        headers["Content-Length"] = str(len(png()))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
    return f"HTTP/1.1 {answer.get('status', 200)} So\r\n{lines}\r\n".encode() + body


class Internet:
    """names: the resolver's answers to each host, one after the other. answers: what each
    connection gets."""

    def __init__(
        self,
        names: Mapping[str, Sequence[Sequence[str] | str]],
        answers: Sequence[Mapping[str, Any]],
        time: ManualTime,
    ) -> None:
        self._names = {host: list(found) for host, found in names.items()}
        self._answers = list(answers)
        self._time = time
        self.connected: list[str] = []
        self.streams: list[ScriptedStream] = []

    def resolve(self, host: str, port: int, timeout_s: float) -> Sequence[str]:
        found = self._names.get(host)
        if found is None:
            raise OSError("Name or service not known")
        answer = found.pop(0) if len(found) > 1 else found[0]
        if answer == "timeout":
            self._time.wait(600, timeout_s)
        return answer

    def connect(self, address: str, port: int, host: str, timeout_s: float) -> ScriptedStream:
        self.connected.append(address)
        answer = self._answers.pop(0)
        match answer.get("connect"):
            case "timeout":
                self._time.wait(600, timeout_s)
            case "refused":
                raise ConnectionRefusedError
            case "certificate":
                raise ssl.SSLCertVerificationError("Hostname mismatch")
        self.streams.append(ScriptedStream(answer, self._time))
        return self.streams[-1]
