"""A shape of botocore's model in, a function that treats its values out.

Every reader, writer and checker of the codec is made of small functions that are compiled once from
the model. What they have in common is here: which kind of shape needs which function, and that
structures are compiled once by name, for they may contain themselves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from botocore.model import ListShape, MapShape, Shape, StructureShape

F = TypeVar("F", bound=Callable[..., Any])


class ShapeCompiler(ABC, Generic[F]):
    """Compiled lazily, kept by the structure's name: one compiler for each service.

    A structure's members must not be compiled before its function is first used: `of` of a shape
    that contains itself would never end.
    """

    def __init__(self) -> None:
        self._structures: dict[str, F] = {}

    def of(self, shape: Shape) -> F:
        """The function for values of that shape."""
        if isinstance(shape, StructureShape):
            if shape.name not in self._structures:
                self._structures[shape.name] = self._structure(shape)
            return self._structures[shape.name]
        if isinstance(shape, ListShape):
            return self._list(shape)
        if isinstance(shape, MapShape):
            return self._map(shape)
        return self._scalar(shape)

    @abstractmethod
    def _structure(self, shape: StructureShape) -> F: ...

    @abstractmethod
    def _list(self, shape: ListShape) -> F: ...

    @abstractmethod
    def _map(self, shape: MapShape) -> F: ...

    @abstractmethod
    def _scalar(self, shape: Shape) -> F: ...
