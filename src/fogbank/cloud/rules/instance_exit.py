"""How the container of an instance ended, and what that says of its job. Pure.

(how the instances ended) -> the one whose failure is the job's, and its FailureReason. Sources:
SageMaker API reference, DescribeTrainingJob; developer guide, "How Amazon SageMaker Processes
Training Output"; the note docs/design/several-instances.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from signal import Signals

from fogbank.cloud.rules.distribution import is_lost_peer

FAILURE_REASON_CHARS = 1024
"""The longest FailureReason that the model allows."""


@dataclass(frozen=True, kw_only=True)
class InstanceExit:
    """How the container of one instance ended.

    code:               exit status; None when a signal ended it.
    signal:             number of the signal that ended it; None when it exited.
    out_of_memory:      it was killed because it used more memory than its share.
    memory_share_bytes: that share, where it is known.
    failure:            the text of /opt/ml/output/failure; empty where there is none.
    last_words:         the last lines of its log, used where `failure` is empty.
    at:                 when it ended, where that is known.
    """

    instance: str
    code: int | None
    signal: int | None = None
    out_of_memory: bool = False
    memory_share_bytes: int | None = None
    failure: str = ""
    last_words: str = ""
    at: datetime | None = None

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.out_of_memory


def root_cause(exits: Sequence[InstanceExit]) -> InstanceExit | None:
    """The first failure that says more than that another instance has gone; else the first."""
    failed = [ended for ended in exits if not ended.ok]
    return next((ended for ended in failed if not has_lost_peer(ended)), next(iter(failed), None))


def has_lost_peer(ended: InstanceExit) -> bool:
    """Whether it only says that another instance has gone."""
    return is_lost_peer(ended.failure or ended.last_words)


def failure_reason(ended: InstanceExit) -> str:
    """FailureReason of a container that failed: `AlgorithmError: TEXT, exit code: N`.

    TEXT is the failure file's, as much of it as fits into 1024 characters. A signal counts as
    exit code 128 + its number, as in a shell and in a container.
    """
    code = ended.code if ended.code is not None else 128 + (ended.signal or 0)
    suffix = f", exit code: {code}"
    if ended.out_of_memory:
        prefix, text = "ClientError: ", _out_of_memory_text(ended)
    else:
        prefix, text = "AlgorithmError: ", ended.failure.strip() or _unexplained_text(ended)
    room = FAILURE_REASON_CHARS - len(prefix) - len(suffix)
    return f"{prefix}{text[:room]}{suffix}"


def _out_of_memory_text(ended: InstanceExit) -> str:
    share = ""
    if ended.memory_share_bytes is not None:
        share = f" of {ended.memory_share_bytes / 2**20:.0f} MiB"
    return (
        "Please use an instance type with more memory, or reduce the size of training data "
        f"processed on an instance. ({ended.instance} ran out of memory: it used more than its "
        f"share{share})"
    )


def _unexplained_text(ended: InstanceExit) -> str:
    how = f"killed by {_signal_name(ended.signal)}" if ended.signal is not None else ""
    words = ended.last_words.strip()
    last = f"the last lines of the log of {ended.instance}: {words}" if words else ""
    return "; ".join(part for part in (how, last) if part)


def _signal_name(number: int) -> str:
    known = {item.value: item.name for item in Signals}
    return f"signal {number} ({known[number]})" if number in known else f"signal {number}"
