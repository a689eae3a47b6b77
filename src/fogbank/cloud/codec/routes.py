"""The REST operations of one service as a table: method, path and query -> operation and labels.

Built once from the model's `requestUri`s. Operations that share method and path (S3 has 40 on
`GET /{Bucket}`) are told apart by the literals of their URI (`?acl`, `list-type=2`) and by
required parameters (`uploadId`, `x-amz-copy-source`); the most specific one wins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus

from botocore.model import OperationModel, ServiceModel

from fogbank.cloud.context import Headers

_LABEL = re.compile(r"\{(\w+)(\+?)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `literals` and `needs` (`query:uploadId`, `header:x-...`) must be there."""

    operation: str
    literals: tuple[tuple[str, str], ...]
    needs: tuple[str, ...]
    streams: bool

    def fits(self, query: Mapping[str, str], headers: Headers) -> bool:
        for name, value in self.literals:
            if name not in query or (value and query[name] != value):
                return False
        for need in self.needs:
            place, name = need.split(":", 1)
            if (name not in query) if place == "query" else (name not in headers):
                return False
        return True


@dataclass(frozen=True, slots=True)
class Match:
    """A route that fits, with the labels of its path, decoded."""

    route: Route
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Path:
    pattern: re.Pattern[str]
    methods: Mapping[str, tuple[Route, ...]]


class Routes:
    """The REST operations of a service."""

    def __init__(self, model: ServiceModel) -> None:
        by_path: dict[str, dict[str, list[OperationModel]]] = {}
        for name in model.operation_names:
            operation = model.operation_model(name)
            path, _, _ = str(operation.http["requestUri"]).partition("?")
            method = str(operation.http["method"])
            by_path.setdefault(path, {}).setdefault(method, []).append(operation)
        # Literal text before labels, short labels before greedy ones, as a reader would choose.
        order = sorted(by_path, key=lambda path: (path.count("{"), "+}" in path, -len(path)))
        self._paths = [
            _Path(
                _pattern(path),
                {method: _routes(operations) for method, operations in by_path[path].items()},
            )
            for path in order
        ]

    def match(
        self, method: str, raw_path: str, query: Mapping[str, str], headers: Headers
    ) -> Match | None:
        """The most specific operation for a request, or None.

        raw_path is still percent-encoded. Raises UnicodeDecodeError where a label is not UTF-8.
        """
        for path in self._paths:
            found = path.pattern.match(raw_path)
            if found is None:
                continue
            for route in path.methods.get(method, ()):
                if route.fits(query, headers):
                    labels = {k: unquote(v, errors="strict") for k, v in found.groupdict().items()}
                    return Match(route, labels)
        return None


def query_map(raw_query: str) -> dict[str, str]:
    """Query parameters, decoded; the first of a repeated name; "" for one without a value."""
    found: dict[str, str] = {}
    if raw_query:
        for pair in raw_query.split("&"):
            key, _, value = pair.partition("=")
            found.setdefault(unquote_plus(key), unquote_plus(value))
    return found


def _pattern(path: str) -> re.Pattern[str]:
    text, at = "", 0
    for label in _LABEL.finditer(path):
        text += re.escape(path[at : label.start()])
        text += f"(?P<{label[1]}>{'.+' if label[2] else '[^/]+'})"
        at = label.end()
    # DOTALL: an object key may hold any character. A trailing slash is no part of a name.
    return re.compile(text + re.escape(path[at:].rstrip("/")) + "/?$", re.DOTALL)


def _literals(operation: OperationModel) -> tuple[tuple[str, str], ...]:
    _, _, query = str(operation.http["requestUri"]).partition("?")
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return tuple((name, value) for name, _, value in pairs)


def _needs(operation: OperationModel) -> tuple[str, ...]:
    shape = operation.input_shape
    if shape is None:
        return ()
    found = []
    for name in shape.required_members:
        traits = shape.members[name].serialization
        if traits.get("location") == "querystring":
            found.append(f"query:{traits['name']}")
        elif traits.get("location") == "header":
            found.append(f"header:{traits['name'].lower()}")
    return tuple(found)


def _streams(operation: OperationModel) -> bool:
    shape = operation.input_shape
    payload = shape.serialization.get("payload") if shape is not None else None
    if shape is None or payload is None:
        return False
    return bool(shape.members[payload].serialization.get("streaming"))


def _routes(operations: list[OperationModel]) -> tuple[Route, ...]:
    literals = {operation.name: _literals(operation) for operation in operations}
    alike = list(literals.values())
    routes = []
    for operation in operations:
        mine = literals[operation.name]
        # A required parameter tells operations apart only where the literals do not. Elsewhere a
        # missing one is for validation to report, not a reason to take another operation.
        tells = len(operations) > 1 and (not mine or alike.count(mine) > 1)
        needs = _needs(operation) if tells else ()
        routes.append(
            (operation.deprecated, Route(operation.name, mine, needs, _streams(operation)))
        )

    def order(entry: tuple[bool, Route]) -> tuple[int, int, bool, str]:
        deprecated, route = entry
        return -len(route.literals), -len(route.needs), deprecated, route.operation

    return tuple(route for _, route in sorted(routes, key=order))
