"""Values with named fields: what frozen dataclasses are, without the code that each of them writes and compiles at every start."""

from __future__ import annotations

from typing import Any, dataclass_transform

from graphc.core.errors import SignatureError


@dataclass_transform(frozen_default=True)
class Record:
    """The annotations of a subclass are its fields, in this order; what it sets them to is their default.

    Records of one class with equal fields are equal. They are not to be changed.
    """

    def __init__(self, *values: Any, **named: Any) -> None:
        names = type(self).__annotations__
        given = self.__dict__
        given.update(zip(names, values, strict=False))
        given.update(named)
        if len(values) + len(named) != len(given) or not given.keys() <= names.keys():
            asked = f"{type(self).__name__}({', '.join(names)}) does not take {len(values)} values and {[*named]}"
            raise SignatureError(asked, fits=", ".join(names))
        if len(given) < len(names):
            missing = [name for name in names if not hasattr(self, name)]
            if missing:
                raise SignatureError(f"{type(self).__name__} needs {missing[0]}", fits=", ".join(names))

    def _values(self) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in type(self).__annotations__])

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._values() == other._values()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        shown = [f"{name}={value!r}" for name, value in zip(type(self).__annotations__, self._values(), strict=True)]
        return f"{type(self).__name__}({', '.join(shown)})"
