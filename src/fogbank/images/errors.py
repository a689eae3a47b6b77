"""What ends an image early. `str(error)` is fit for a failure file and for a person.

ImageError             anything that an image refuses or cannot do
├── ContractError      the environment or a file that the machine prepares is missing or wrong
├── ArchiveError       an archive that is not one, or that must not be unpacked
├── FetchError         an object that could not be read from S3
└── ProcessError       a process that we started ended badly (script, pip)
    ├── ExecuteUserScriptError
    └── InstallRequirementsError
"""

from __future__ import annotations


class ImageError(Exception):
    """Anything that an image refuses or cannot do."""


class ContractError(ImageError):
    """The environment, or a file that the machine prepares, is missing or wrong."""


class ArchiveError(ImageError):
    """The archive is not one, is damaged, or holds something that must not be unpacked."""


class FetchError(ImageError):
    """An object could not be read from S3."""


class ProcessError(ImageError):
    """A process that we started ended with another status than 0.

    `exit_code` is negative for a signal. The text has the form of AWS's training toolkit, because
    clients and people know it from FailureReason.
    """

    def __init__(
        self, command: str, exit_code: int, message: str, extra_info: str | None = None
    ) -> None:
        self.command = command
        self.exit_code = exit_code
        self.message = message
        extra = f'ExtraInfo "{extra_info}"\n' if extra_info is not None else ""
        super().__init__(
            f"{type(self).__name__}:\nExitCode {exit_code}\n"
            f'ErrorMessage "{message}"\n{extra}Command "{command}"'
        )


class ExecuteUserScriptError(ProcessError):
    """The user's script failed."""


class InstallRequirementsError(ProcessError):
    """pip could not install requirements.txt."""
