"""Functions of tensors that compute at once when they are given values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from graphc.core import Tensor
from graphc.pipeline import evaluate

F = TypeVar("F", bound=Callable[..., Any])


def immediate(function: F) -> F:
    """The same function, whose result is a value and no graph where no argument is a tensor: numbers, lists and arrays only."""

    @functools.wraps(function)
    def of_values(*operands: Any, **named: Any) -> Any:
        result = function(*operands, **named)
        symbolic = any(isinstance(value, Tensor) for value in (*operands, *named.values()))
        return evaluate(result, optimize=False) if isinstance(result, Tensor) and not symbolic else result

    return of_values  # type: ignore[return-value]
