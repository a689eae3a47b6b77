"""`python -m fogbank.cloud --home FOLDER --port PORT`: the cloud in the foreground."""

from __future__ import annotations

import argparse
import math
import os
import sys
from functools import partial
from pathlib import Path

from fogbank.cloud.app import Settings
from fogbank.cloud.rules.endpoint_quota import InstanceCounts
from fogbank.cloud.server import serve
from fogbank.core.arn import Scope


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fogbank.cloud", description=__doc__)
    parser.add_argument("--home", type=Path, default=os.environ.get("FOGBANK_HOME", "~/.fogbank"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("FOGBANK_PORT", "4566")))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--engine", default=os.environ.get("FOGBANK_ENGINE", "auto"))
    parser.add_argument(
        "--time-scale", type=_time_scale, default=os.environ.get("FOGBANK_TIME_SCALE", "1")
    )
    parser.add_argument(
        "--function-concurrency",
        type=_function_concurrency,
        default=os.environ.get("FOGBANK_FUNCTION_CONCURRENCY", "1000"),
    )
    parser.add_argument(
        "--function-idle-s",
        type=_function_idle_s,
        default=os.environ.get("FOGBANK_FUNCTION_IDLE_S", "300"),
    )
    parser.add_argument(
        "--endpoint-instances",
        type=partial(_instance_counts, "FOGBANK_ENDPOINT_INSTANCES"),
        default=os.environ.get("FOGBANK_ENDPOINT_INSTANCES", ""),
    )
    parser.add_argument(
        "--endpoint-capacity",
        type=partial(_instance_counts, "FOGBANK_ENDPOINT_CAPACITY"),
        default=os.environ.get("FOGBANK_ENDPOINT_CAPACITY", ""),
    )
    parser.add_argument(
        "--instance-start-s",
        type=_instance_start_s,
        default=os.environ.get("FOGBANK_INSTANCE_START_S", "0"),
    )
    parser.add_argument("--account", default=os.environ.get("FOGBANK_ACCOUNT", Scope().account))
    parser.add_argument("--region", default=os.environ.get("FOGBANK_REGION", Scope().region))
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING"))
    options = parser.parse_args(arguments)
    settings = Settings(
        home=options.home.expanduser().resolve(),
        host=options.host,
        port=options.port,
        engine=options.engine,
        time_scale=options.time_scale,
        function_concurrency=options.function_concurrency,
        function_idle_s=options.function_idle_s,
        endpoint_quota=options.endpoint_instances,
        endpoint_capacity=options.endpoint_capacity,
        instance_start_s=options.instance_start_s,
        scope=Scope(options.account, options.region),
    )
    return serve(settings, log_level=options.log_level)


def _number(name: str, text: str, least: float, most: float, what: str) -> float:
    """A setting between two bounds. what: which numbers it may be, and what it means."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan  # between no bounds
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{name} is {text!r}: it must be a number {what}")
    return value


def _time_scale(text: str) -> float:
    """Beyond 60 a period of a minute would be shorter than the second that metrics are kept by."""
    what = "from 1 (real time) to 60 (alarms, cooldowns and metric periods pass 60 times faster)"
    return _number("FOGBANK_TIME_SCALE", text, 1, 60, what)


def _function_concurrency(text: str) -> int:
    """The account's limit: 1000 by default on AWS, 10 in a new account."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(
            f"FOGBANK_FUNCTION_CONCURRENCY is {text!r}: it must be a whole number from 1 "
            "(executions of functions that the account may have at once; AWS's default is 1000)"
        )
    return int(text)


def _function_idle_s(text: str) -> float:
    """AWS promises no time; minutes are what people see."""
    what = (
        "of seconds from 0.1 (how long an execution environment of a function may have nothing to "
        "do)"
    )
    return _number("FOGBANK_FUNCTION_IDLE_S", text, 0.1, 1e6, what)


def _instance_counts(name: str, text: str) -> InstanceCounts:
    try:
        return InstanceCounts.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{name} is {text!r}: {error}. Give instances by type, * for every other type, as in "
            "ml.m5.large=4,*=20"
        ) from None


def _instance_start_s(text: str) -> float:
    """AWS takes 3 to 8 minutes for instances without GPU."""
    what = "of seconds from 0 (an instance is there at once) to 3600; 300 is what AWS takes"
    return _number("FOGBANK_INSTANCE_START_S", text, 0, 3600, what)


if __name__ == "__main__":
    sys.exit(main())
