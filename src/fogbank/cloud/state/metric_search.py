"""CloudWatch's SEARCH expression: its text -> which metrics it finds, with which statistic.

    SEARCH('{AWS/SageMaker,EndpointName,VariantName} MetricName="Invocations" dogs', 'Sum', 60)

What is here: the schema in braces, names and words that all have to be met. OR, NOT and brackets
are refused. Source: CloudWatch User Guide, "CloudWatch search expression syntax".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fogbank.cloud.state.metric_store import Metric

MAX_FOUND = 500
"""Metrics that one search gives at most: as many as one GetMetricData may ask for by name."""

_CALL = re.compile(
    r"\s*SEARCH\(\s*'(?P<text>[^']*)'\s*,\s*'(?P<stat>[^']*)'\s*(?:,\s*(?P<period>\d+)\s*)?\)\s*"
)
_SCHEMA = re.compile(r"\s*\{([^}]*)\}")
_QUOTED = r'"[^"]*"'
_TERM = re.compile(rf"(?:(?P<name>{_QUOTED}|[^\s\"=()]+)\s*=\s*)?(?P<value>{_QUOTED}|[^\s\"=()]+)")
_UNSUPPORTED = frozenset({"OR", "NOT"})


class SearchError(ValueError):
    """No search that Fogbank can make; the text says why, in one sentence."""


@dataclass(frozen=True, slots=True)
class Term:
    """name: `MetricName`, `Namespace` or a dimension's; "" for anywhere. is_exact: as a whole, in
    upper and lower case as written; otherwise it is enough to be part of it in any case."""

    name: str
    value: str
    is_exact: bool

    def is_met_by(self, metric: Metric) -> bool:
        fields = {"Namespace": metric.namespace, "MetricName": metric.name}
        if self.name:
            found = {**dict(metric.dimensions), **fields}
            texts = [found[self.name]] if self.name in found else []
        else:
            names = [text for pair in metric.dimensions for text in pair]
            texts = [*fields.values(), *names]
        if self.is_exact:
            return self.value in texts
        return any(self.value.lower() in text.lower() for text in texts)


@dataclass(frozen=True, slots=True)
class Search:
    """namespace, dimensions: the schema; None for any. period_s: 0 where the query says it."""

    namespace: str | None
    dimensions: tuple[str, ...] | None
    terms: tuple[Term, ...]
    statistic_name: str
    period_s: int

    def finds(self, metric: Metric) -> bool:
        if self.namespace is not None and metric.namespace != self.namespace:
            return False
        names = tuple(name for name, _ in metric.dimensions)
        if self.dimensions is not None and names != self.dimensions:
            return False
        return all(term.is_met_by(metric) for term in self.terms)


def is_search(expression: str) -> bool:
    return expression.lstrip().startswith("SEARCH")


def read_search(expression: str) -> Search:
    """Raises SearchError."""
    call = _CALL.fullmatch(expression)
    if call is None:
        raise SearchError(
            "it is not of the form SEARCH('{Namespace,Dimension} MetricName=\"Name\"', "
            "'Statistic', Period), alone in its expression"
        )
    text = call["text"]
    schema = _SCHEMA.match(text)
    namespace: str | None = None
    dimensions: tuple[str, ...] | None = None
    if schema:
        namespace, *names = (_plain(part.strip()) for part in schema[1].split(","))
        dimensions = tuple(sorted(names))
        text = text[schema.end() :]
    terms = tuple(_terms(text))
    if namespace is None and not terms:
        raise SearchError("it names nothing to search for")
    return Search(namespace, dimensions, terms, call["stat"], int(call["period"] or 0))


def _terms(text: str) -> list[Term]:
    terms: list[Term] = []
    at = 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        found = _TERM.match(text, at)
        if found is None:
            raise SearchError(f"Fogbank does not understand {text[at:]!r} in a search")
        name, value = found["name"] or "", found["value"]
        if not name and value in _UNSUPPORTED:
            raise SearchError(f"Fogbank does not support {value} in a search yet")
        if name or value != "AND":
            terms.append(Term(_plain(name), _plain(value), value.startswith('"')))
        at = found.end()
    return terms


def _plain(text: str) -> str:
    return text.removeprefix('"').removesuffix('"')
