"""A worker process: loads the model, then serves one request after the other from its socket.

`python -m fogbank.images.inference.worker FD INDEX`. In: frames on the inherited socket FD. Out:
one frame when the model is loaded, one for each request. Ends with 0 when the front closes the
socket, with 1 where the model cannot be loaded; the reason is then the last thing on standard
error. SIGTERM and SIGINT are the front's business: one to the whole group must not cut a request
short.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import Mapping

from fogbank.images.errors import ImageError
from fogbank.images.gpus import num_gpus
from fogbank.images.inference.context import Context
from fogbank.images.inference.frames import LENGTHS, READY, Invocation
from fogbank.images.inference.settings import Settings, read_settings
from fogbank.images.inference.transformer import Transformer, find_handlers


def main(fd: int, index: int, environ: Mapping[str, str]) -> int:
    os.set_inheritable(fd, False)  # processes of the user's code must not hold the socket open
    for number in (signal.SIGTERM, signal.SIGINT):
        # A handler, not SIG_IGN: that would be inherited by what the user's code starts.
        signal.signal(number, lambda _signum, _frame: None)
    settings = read_settings(environ)
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=settings.log_level)
    try:
        transformer = _load(settings, index, environ)
    except ImageError as error:
        print(f"the model cannot be served: {error}", file=sys.stderr, flush=True)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    with socket.socket(fileno=fd) as front:
        try:
            front.sendall(READY)
            while (invocation := _receive(front)) is not None:
                front.sendall(transformer.reply(invocation).encode())
        except (BrokenPipeError, ConnectionResetError):
            return 0  # the front is gone: nobody waits for an answer any more
    return 0


def _load(settings: Settings, index: int, environ: Mapping[str, str]) -> Transformer:
    code = str(settings.code_dir)
    sys.path.insert(0, code)
    # For the interpreters that the user's code starts.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [code, environ.get("PYTHONPATH")]))
    gpus = num_gpus(environ)
    context = Context("model", str(settings.model_dir), index % gpus if gpus else None)
    return Transformer(
        find_handlers(settings.module_name, context), context, settings.default_accept
    )


def _receive(front: socket.socket) -> Invocation | None:
    lengths = _exactly(front, LENGTHS.size)
    if lengths is None:
        return None
    meta_length, body_length = LENGTHS.unpack(lengths)
    meta = _exactly(front, meta_length)
    body = _exactly(front, body_length)
    return None if meta is None or body is None else Invocation.decode(meta, body)


def _exactly(front: socket.socket, num_bytes: int) -> bytes | None:
    """None where the front has hung up."""
    first = front.recv(num_bytes) if num_bytes else b""
    if len(first) == num_bytes:
        return first
    data = bytearray(num_bytes)
    data[: len(first)] = first
    view, filled = memoryview(data), len(first)
    while filled < num_bytes:
        got = front.recv_into(view[filled:])
        if got == 0:
            return None
        filled += got
    view.release()
    return bytes(data)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), dict(os.environ)))
