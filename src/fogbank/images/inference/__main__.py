"""`python -m fogbank.images.inference`: serve the model below SAGEMAKER_BASE_DIR.

Exit codes: 0 after SIGTERM, 1 where the model cannot be served; the reason is then the last thing
on standard error.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping

from fogbank.images import overlay
from fogbank.images.errors import ContractError, ImageError
from fogbank.images.inference.settings import Settings, read_settings
from fogbank.images.inference.worker_process import WorkerStarter


def main(environ: Mapping[str, str]) -> int:
    try:
        settings = read_settings(environ)
        if not settings.model_dir.is_dir():
            raise ContractError(f"{settings.model_dir} is missing: the machine must unpack a model")
        listener = _listen(settings)
        interpreter = overlay.interpreter_for(settings.code_dir, environ)
    except ImageError as error:
        print(f"the model cannot be served: {error}", file=sys.stderr)
        return 1
    starter = WorkerStarter(interpreter, environ)
    started = [starter.start(index) for index in range(settings.num_workers)]

    # Imported while the workers load.
    import asyncio

    from fogbank.images.inference.server import serve

    return asyncio.run(serve(settings, listener, starter, started))


def _listen(settings: Settings) -> socket.socket:
    if settings.bind_fd is not None:
        try:
            listener = socket.socket(fileno=settings.bind_fd)
            listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as error:
            raise ContractError(f"FOGBANK_BIND_FD {settings.bind_fd}: {error}") from error
        if not listening:
            raise ContractError(f"FOGBANK_BIND_FD {settings.bind_fd} is not a listening socket")
        os.set_inheritable(settings.bind_fd, False)
        return listener
    address = (settings.bind_host, settings.bind_port)
    try:
        return socket.create_server(address, backlog=1024)
    except OSError as error:
        raise ContractError(
            f"cannot listen on {address[0]}:{address[1]}: {error}; set SAGEMAKER_BIND_TO_PORT"
        ) from error


if __name__ == "__main__":
    sys.exit(main(dict(os.environ)))
