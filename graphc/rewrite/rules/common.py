"""What rules of several groups have in common: the variables of their patterns, and small questions about operands and shapes."""

from __future__ import annotations

from typing import Any, Final

from graphc.core import Tensor
from graphc.core.pattern import attr, var
from graphc.core.sizes import Shape, product
from graphc.ops.shape import reshape

x: Final[Any] = var("x")
y: Final[Any] = var("y")
z: Final[Any] = var("z")
a: Final[Any] = var("a")
b: Final[Any] = var("b")
c: Final[Any] = var("c")
g: Final[Any] = var("g")
axis: Final[Any] = attr("axis")
axes: Final[Any] = attr("axes")
shape: Final[Any] = attr("shape")
keepdims: Final[Any] = attr("keepdims")


def other_operand(node: Tensor, operand: Tensor) -> Tensor:
    """Of a node with two operands the one that is not this one."""
    return node.inputs[node.inputs[0] is operand]


def has_items(x: Tensor, axis: tuple[int, ...]) -> bool:
    """Whether each of these axes is known to have a size other than 0."""
    return all(isinstance(x.shape[i], int) and x.shape[i] for i in axis)


def with_axes_in_front(shape: Shape, ndim: int) -> Shape:
    """The shape with as many axes as a broadcast gives it."""
    return (1,) * (ndim - len(shape)) + shape


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes this one."""
    return tuple([axes.index(i) for i in range(len(axes))])


def rows_of(stack: Tensor) -> Tensor:
    """The matrices of a stack below one another."""
    return reshape(stack, shape=(product(stack.shape[:-1]), stack.shape[-1]))
