"""`python -m fogbank.cloud --home FOLDER --port PORT`: the cloud in the foreground."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from fogbank.cloud.app import Settings
from fogbank.cloud.server import serve
from fogbank.core.arn import Scope


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fogbank.cloud", description=__doc__)
    parser.add_argument("--home", type=Path, default=os.environ.get("FOGBANK_HOME", "~/.fogbank"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("FOGBANK_PORT", "4566")))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--account", default=os.environ.get("FOGBANK_ACCOUNT", Scope().account))
    parser.add_argument("--region", default=os.environ.get("FOGBANK_REGION", Scope().region))
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING"))
    options = parser.parse_args(arguments)
    settings = Settings(
        home=options.home.expanduser().resolve(),
        host=options.host,
        port=options.port,
        scope=Scope(options.account, options.region),
    )
    return serve(settings, log_level=options.log_level)


if __name__ == "__main__":
    sys.exit(main())
