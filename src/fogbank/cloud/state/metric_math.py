"""CloudWatch's metric math: (expression, the series it names) -> a series.

A series is time -> value; it has no entry where there is no data. An expression with two series has
values where both have them; a number goes with every time. What is here: + - * / ^, comparisons,
AND and OR, IF, and the functions of `FUNCTIONS`. Source: CloudWatch User Guide, "Using math
expressions with CloudWatch metrics".
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

Series = Mapping[int, float]
"""Start of a period, in seconds since the epoch -> value."""

Value = float | Series | list["Series"]

_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_EACH: Mapping[str, Callable[[float], float]] = {
    "ABS": abs,
    "CEIL": math.ceil,
    "FLOOR": math.floor,
    "LOG": math.log,
    "LOG10": math.log10,
}
_OVER: Mapping[str, Callable[[Sequence[float]], float]] = {
    "AVG": lambda values: math.fsum(values) / len(values),
    "MAX": max,
    "MIN": min,
    "SUM": math.fsum,
}
FUNCTIONS = (*_EACH, *_OVER, "DIFF", "FILL", "IF", "METRICS", "RATE")

_WORDS = (
    (re.compile(r"\^"), "**"),
    (re.compile(r"&&|\bAND\b"), " and "),
    (re.compile(r"\|\||\bOR\b"), " or "),
)


class MathError(ValueError):
    """An expression that cannot be computed; the text says why, in one sentence."""


def names_in(expression: str) -> set[str]:
    """Ids of the series that an expression needs. Raises MathError for what is no expression."""
    tree = _tree(expression)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and id(node) not in called and node.id != "REPEAT"
    }


def compute(expression: str, series: Mapping[str, Series], times: Iterable[int]) -> Series:
    """The expression's series. times: the starts of all periods that are asked for; a number and
    FILL have a value at each.

    Raises MathError for what is no expression, names what is not among `series`, or is no series.
    """
    return _Computation(series, sorted(times)).result(expression)


def _tree(expression: str) -> ast.expr:
    text = expression
    for pattern, python in _WORDS:
        text = pattern.sub(python, text)
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise MathError(f"the expression {expression!r} is not understood") from None


class _Computation:
    def __init__(self, series: Mapping[str, Series], times: Sequence[int]) -> None:
        self._series = series
        self._times = times

    def result(self, expression: str) -> Series:
        value = self._value(_tree(expression))
        if isinstance(value, list):
            raise MathError(f"the expression {expression!r} gives several series, not one")
        return self._spread(value)

    def _spread(self, value: float | Series) -> Series:
        return dict.fromkeys(self._times, value) if isinstance(value, float) else value

    def _value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return float(number)
            case ast.Name(id=name):
                if name not in self._series:
                    raise MathError(f"the expression names {name}, which is not among the metrics")
                return self._series[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._both(operator.mul, -1.0, self._one(operand))
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
                return self._both(_OPERATORS[type(sign)], self._one(left), self._one(right))
            case ast.Compare(left=left, ops=[sign], comparators=[right]):
                if type(sign) in _COMPARISONS:
                    compare = _COMPARISONS[type(sign)]
                    return self._both(
                        lambda a, b: float(compare(a, b)), self._one(left), self._one(right)
                    )
            case ast.BoolOp(op=word, values=operands):
                join = all if isinstance(word, ast.And) else any
                return self._over(
                    lambda values: float(join(map(bool, values))),
                    [self._spread(self._one(operand)) for operand in operands],
                )
            case ast.List(elts=elements):
                return [self._spread(self._one(element)) for element in elements]
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(name.upper(), arguments)
        raise MathError(f"{ast.unparse(node)} is not something that metric math has")

    def _one(self, node: ast.expr) -> float | Series:
        value = self._value(node)
        if isinstance(value, list):
            raise MathError(f"{ast.unparse(node)} is several series where one is needed")
        return value

    def _both(
        self,
        act: Callable[[float, float], float],
        left: float | Series,
        right: float | Series,
    ) -> float | Series:
        if isinstance(left, float) and isinstance(right, float):
            result = _defined(act, left, right)
            return {} if result is None else result
        one, other = self._spread(left), self._spread(right)
        values = {at: _defined(act, one[at], other[at]) for at in one if at in other}
        return {at: value for at, value in values.items() if value is not None}

    def _over(self, act: Callable[[Sequence[float]], float], many: Sequence[Series]) -> Series:
        """Across several series, time by time, of those that have a value there."""
        times = sorted({at for series in many for at in series})
        return {at: act([series[at] for series in many if at in series]) for at in times}

    def _call(self, name: str, arguments: list[ast.expr]) -> Value:
        match name, arguments:
            case "METRICS", []:
                return list(self._series.values())
            case "FILL", [of, filler]:
                return self._fill(self._spread(self._one(of)), filler)
            case "IF", [condition, then]:
                return self._if(condition, then, None)
            case "IF", [condition, then, otherwise]:
                return self._if(condition, then, otherwise)
            case (("DIFF" | "RATE"), [of]):
                return _changes(self._spread(self._one(of)), per_second=name == "RATE")
            case _, [of] if name in _EACH:
                series = self._spread(self._one(of))
                values = {
                    at: _defined(lambda a, _: _EACH[name](a), value, 0.0)
                    for at, value in series.items()
                }
                return {at: value for at, value in values.items() if value is not None}
            case _, [of] if name in _OVER:
                value = self._value(of)
                if isinstance(value, list):
                    return self._over(_OVER[name], value)
                known = list(self._spread(value).values())
                return _OVER[name](known) if known else {}
        if name in FUNCTIONS:
            raise MathError(f"{name} takes other arguments than it is given")
        raise MathError(f"the function {name} is not one of {', '.join(sorted(FUNCTIONS))}")

    def _fill(self, series: Series, filler: ast.expr) -> Series:
        if isinstance(filler, ast.Name) and filler.id == "REPEAT":
            filled: dict[int, float] = {}
            last: float | None = None
            for at in self._times:
                last = series.get(at, last)
                if last is not None:
                    filled[at] = last
            return filled
        return {**self._spread(self._one(filler)), **series}

    def _if(self, condition: ast.expr, then: ast.expr, otherwise: ast.expr | None) -> Series:
        chosen = self._spread(self._one(then))
        other = {} if otherwise is None else self._spread(self._one(otherwise))
        result = {}
        for at, holds in self._spread(self._one(condition)).items():
            source = chosen if holds else other
            if at in source:
                result[at] = source[at]
        return result


def _defined(act: Callable[[float, float], float], left: float, right: float) -> float | None:
    """None where mathematics has no number: a division by zero leaves a gap, as on AWS."""
    try:
        result = act(left, right)
    except (ArithmeticError, ValueError):
        return None
    return float(result) if isinstance(result, int | float) and math.isfinite(result) else None


def _changes(series: Series, *, per_second: bool) -> Series:
    times = sorted(series)
    return {
        now: (series[now] - series[before]) / ((now - before) if per_second else 1)
        for before, now in pairwise(times)
    }
