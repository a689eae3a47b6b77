"""Says which addresses outside this machine a program tried to reach, and writes its result."""

import json
import sys
from typing import Any

_tried: set[str] = set()


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = str(arguments[1][0])
        if not host.startswith("127.") and host not in ("::1", "localhost"):
            _tried.add(host)


sys.addaudithook(_watch)


def tell(**facts: Any) -> None:
    """The last line on stdout: what the test looks at."""
    print("\n" + json.dumps({"outside": sorted(_tried), **facts}))
