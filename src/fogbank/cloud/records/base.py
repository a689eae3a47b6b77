"""What every record has in common."""

from __future__ import annotations

from typing import ClassVar, Protocol


class Record(Protocol):
    """A frozen dataclass that `Records` can keep: fields are JSON-able, datetimes, tuples, dicts
    and other dataclasses of such.

    kind: the name of the collection, `service.thing`; unique in the cloud.
    key:  unique within the kind.
    """

    kind: ClassVar[str]

    @property
    def key(self) -> str: ...
