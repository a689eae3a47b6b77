"""How a service is made: rooms whose methods are marked with `@operation`, one table of them all.

A room is a plain class: its constructor takes what it needs (records, clock, scope, ...), its
marked methods take `(context, params)` and return the members of the output shape, or raise
ServiceError. A method may be `async` where it waits for a disk or a replica; a plain one runs to
its end without anybody in between.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from fogbank.cloud.context import Context, Params, Result

Handler = Callable[[Context, Params], Result | Awaitable[Result]]
Method = TypeVar("Method", bound=Callable[..., Any])

_MARK = "__fogbank_operation__"


def operation(name: str) -> Callable[[Method], Method]:
    """Mark a method as the behaviour of the AWS operation `name`."""

    def mark(method: Method) -> Method:
        setattr(method, _MARK, name)
        return method

    return mark


def dispatch_table(known: Iterable[str], rooms: Iterable[object]) -> Mapping[str, Handler]:
    """Operation name -> bound method, over all rooms of one service.

    `known` are the names that the service's model has. Raises RuntimeError for a name that the
    model does not have and for one that two rooms claim: both are bugs, found at start.
    """
    valid = set(known)
    table: dict[str, Handler] = {}
    for room in rooms:
        for _, method in inspect.getmembers(room, callable):
            name = getattr(method, _MARK, None)
            if name is None:
                continue
            if name not in valid:
                raise RuntimeError(f"{type(room).__name__} implements {name}, which no model knows")
            if name in table:
                raise RuntimeError(f"{type(room).__name__} implements {name} a second time")
            table[name] = cast(Handler, method)
    return table
