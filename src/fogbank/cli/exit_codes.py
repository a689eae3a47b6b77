"""What `fogbank` exits with. Scripts may rely on it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The numbers; MEANINGS says when."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CLOUD_FAILURE = 3
    NOT_RUNNING = 4
    COMMAND_NOT_FOUND = 127
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.OK: "done, or nothing to do",
    ExitCode.FAILED: "something outside failed: the cloud did not answer, AWS refused, another "
    "command is changing the project",
    ExitCode.USAGE: "the command line, fogbank.yaml or a file is wrong; the message says where",
    ExitCode.CLOUD_FAILURE: "a training job, a tuning job, an endpoint or a function was started "
    "and failed in the cloud",
    ExitCode.NOT_RUNNING: "`fogbank cloud status` found no running cloud",
    ExitCode.COMMAND_NOT_FOUND: "`fogbank run` found no such command; else it exits with the "
    "command's own code",
    ExitCode.INTERRUPTED: "Ctrl-C; the message says what goes on in the cloud and how to continue",
}
