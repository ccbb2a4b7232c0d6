"""Functions of tensors that compute at once when they are given values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from graphc.core import Tensor
from graphc.core.errors import entry
from graphc.pipeline import evaluate

F = TypeVar("F", bound=Callable[..., Any])


def recorder(values: Iterable[Any]) -> Callable[..., Any] | None:
    """The method ``__graphc_function__(function, args, kwargs)`` of the first value that has one, or None.

    It computes functions of graphs at once in its own way, as NumPy's ``__array_function__`` does functions of arrays: tensors of
    ``graphc.compat.tensorflow`` tell tapes of it.
    """
    return next((own for own in [getattr(value, "__graphc_function__", None) for value in values] if own is not None), None)


def variable_of(value: Any) -> Any:
    """The variable that ``__graphc_variable__`` of a value says it stands for; anything else as it is."""
    return getattr(value, "__graphc_variable__", value)


def immediate(function: F) -> F:
    """The same function, whose result is a value and no graph where no argument is a tensor: numbers, lists and arrays only."""

    @functools.wraps(function)
    def of_values(*operands: Any, **named: Any) -> Any:
        own = recorder((*operands, *named.values()))
        if own is not None:
            return own(function, operands, named)
        result = function(*operands, **named)
        symbolic = any(isinstance(value, Tensor) for value in (*operands, *named.values()))
        return evaluate(result, optimize=False) if isinstance(result, Tensor) and not symbolic else result

    return cast("F", entry(of_values))
