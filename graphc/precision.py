"""Mixed precision: the same graph, with its products in 16 bits, and the scale that keeps float16's gradients from vanishing.

The scheme is that of P. Micikevicius et al., "Mixed Precision Training" (2018): master weights in float32, products on operands of 16
bits that are added up in float32, everything delicate in float32, and the loss multiplied by a number before it is differentiated.
Which op belongs to which class its record says (:func:`precision_of`).
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import numpy as np

from graphc import ops
from graphc.core import (
    Constant,
    Op,
    Subgraph,
    Tensor,
    Variable,
    as_tensor,
    bodies,
    constant,
    derived_from,
    dtypes,
    rebuild,
    toposort,
    tree,
    variable,
)
from graphc.core.errors import ArgumentError, DeclarationError, DTypeError, near
from graphc.core.op import as_dtype
from graphc.grad import grad

Precision: TypeAlias = Literal["low", "float32", "promote", "declared"]
"""The class of an op.

============ =======================================================================================================
``low``      products and convolutions: operands are cast to 16 bits
``float32``  what 16 bits are too few for: exponentials, logarithms, losses, norms, sums and whatever says nothing else
``promote``  what is cheap, moves or chooses: computed in the dtype in which the operands meet
``declared`` what reads bits or has a body: operands as they were declared; the body is a graph of its own
============ =======================================================================================================
"""
LOW: Final = ("bfloat16", "float16")
_LOWERED: Final = (*LOW, "float32")
"""What takes part; graphs in float64 or of complex numbers were declared so for their digits."""


@functools.cache
def precision_of(op: Op) -> Precision:
    """The class of an op: what its record says, or else what follows from it.

    What has a body is ``declared``. What does no arithmetic, has no gradient, or is linear element by element is ``promote``. Anything
    else is ``float32``, which is never wrong.
    """
    if op.precision in get_args(Precision):
        return cast("Precision", op.precision)
    if op.precision:
        known = get_args(Precision)
        raise DeclarationError(f"{op.name}: there is no precision {op.precision!r}{near(op.precision, known)}", fits=", ".join(known))
    if Subgraph in inspect.get_annotations(op.rule, eval_str=True).values():
        return "declared"
    return "promote" if op.flops == 0 or op.zero_gradient or (op.pointwise and op.linear) else "float32"


def mixed_precision(outputs: Any, dtype: Any = "bfloat16") -> Any:
    """The same graph with products and convolutions on operands of 16 bits, and the delicate ops in float32.

    Inputs, variables and outputs keep their dtypes: variables are the master weights, their casts are nodes of the graph, and so the
    gradient arrives in the variable's own dtype. Cheap pointwise ops are computed in the dtype of the values that reach them, to which
    variables (a bias) and numbers are brought where these fit. Of the products, BLAS and XLA add up in float32. Loops, branches and
    checkpoints take and return what they did, and are mixed within.

    Take the gradient of what this returns; or give it the loss and its gradients together. float16 has a narrow range, so that its
    gradients vanish or overflow without :class:`LossScale`; bfloat16 has float32's.

    Args:
        outputs: a tensor, or a tuple, list or dict of them; what is returned has the same structure.
        dtype: ``"bfloat16"`` or ``"float16"``.

    Raises:
        DTypeError: another dtype.
    """
    low = dtypes.canonical(dtype)
    if low not in LOW:
        raise DTypeError(f"mixed_precision: dtype={dtype!r}", fits=" or ".join(map(repr, LOW)))
    leaves, rebuilt = tree.flatten(outputs)
    return rebuilt(_mixed([as_tensor(y) for y in leaves], low))


def _mixed(roots: Sequence[Tensor], low: str) -> list[Tensor]:
    mixing = _Mixing(low)
    for node in toposort(roots):
        with derived_from(node):
            mixing.visit(node)
    return [as_dtype(mixing.new[root], root.dtype) for root in roots]


class _Mixing:
    """One walk along a graph: ``new`` has for each node its value, in whatever dtype it is computed."""

    def __init__(self, low: str) -> None:
        self.low = low
        self.new: dict[Tensor, Tensor] = {}

    def visit(self, node: Tensor) -> None:
        if node.op is None:
            self.new[node] = node
            return
        inputs = [self.new[x] for x in node.inputs]
        attrs = node.attrs
        if bodies(node):
            attrs = tuple([self._within(value) if isinstance(value, Subgraph) else value for value in attrs])
        self.new[node] = rebuild(node, self._brought(node, node.op, inputs), attrs)

    def _within(self, body: Subgraph) -> Subgraph:
        return body.transformed(lambda outputs: _mixed(outputs, self.low))

    def _brought(self, node: Tensor, op: Op, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        """The operands in the dtypes in which the op computes."""
        floats = [x for x in inputs if dtypes.is_inexact(x.dtype)]
        kind = precision_of(op)
        if kind == "declared" or any(x.dtype not in _LOWERED for x in floats):
            wanted = [x.dtype for x in node.inputs]
        else:
            wanted = [self._computed_in(kind, floats)] * len(inputs)
        return tuple([_in_dtype(x, dtype) if dtypes.is_inexact(x.dtype) else x for x, dtype in zip(inputs, wanted, strict=True)])

    def _computed_in(self, kind: Precision, floats: Sequence[Tensor]) -> str:
        if kind == "promote":
            return _meeting(floats)
        return self.low if kind == "low" and len(floats) > 1 else "float32"  # a product of one operand is a sum


def _in_dtype(x: Tensor, dtype: str) -> Tensor:
    """The tensor in a dtype: by a cast, but a number at once."""
    return constant(x.value, dtype) if isinstance(x, Constant) and x.value.size == 1 else as_dtype(x, dtype)


def _meeting(floats: Sequence[Tensor]) -> str:
    """The dtype in which operands meet: that of the data among them, where the others fit into it."""
    bending = [x for x in floats if _bends(x)]
    data = [x.dtype for x in floats if x not in bending]
    dtype = functools.reduce(dtypes.promote, data or [x.dtype for x in floats] or ["float32"])
    return dtype if all(_fits(_source(x), dtype) for x in bending) else "float32"


def _source(x: Tensor) -> Tensor:
    """What is seen through views: a bias with an axis more, a number in a larger shape."""
    while x.op is not None and x.op.view and len(x.inputs) == 1:
        x = x.inputs[0]
    return x


def _bends(x: Tensor) -> bool:
    """Whether it takes the dtype of what it meets: a weight, a number, a truth value as a number."""
    source = _source(x)
    if isinstance(source, Constant):
        return source.value.size == 1
    return isinstance(source, Variable) or (source.op is ops.cast and source.inputs[0].dtype == "bool")


def _fits(source: Tensor, dtype: str) -> bool:
    """Whether a number keeps to the range of a dtype: -1e9, that is to mask, would be -inf in float16, and 1e-9 would be 0."""
    if not isinstance(source, Constant):
        return True
    with np.errstate(all="ignore"):
        there = float(source.value.reshape(()).astype(dtypes.numpy_dtype(dtype)))
    here = float(source.value.reshape(()))
    return math.isfinite(there) == math.isfinite(here) and (there == 0) == (here == 0)


# ---------------------------------------------------------------- loss scaling
@dataclass(frozen=True, eq=False)
class LossScale:
    """A number by which the loss is multiplied before it is differentiated, so that small gradients survive float16.

    It adapts itself, as PyTorch's ``torch.amp.GradScaler`` and NVIDIA's Apex have it, with the defaults of the former: after a step
    whose gradients are not all finite it is multiplied by ``backoff_factor``, and the step is left out; after ``growth_interval``
    good steps in a row it is multiplied by ``growth_factor``, unless it would become infinite. ``scale`` and ``good_steps`` are
    variables, which the compiled step updates with all others.

    >>> scaling = gc.LossScale()
    >>> gradients = scaling.grad(loss, weights)
    >>> updates = optimizer.updates(dict(zip(weights, gradients)))
    >>> step = gc.compile(inputs, loss, scaling.updates(updates, gradients))

    Raises :class:`ArgumentError` for a scale that is no positive number, a growth of at most 1, a backoff outside 0 to 1, or an interval
    below 1.
    """

    init_scale: float = 2.0**16
    growth_factor: float = 2.0
    backoff_factor: float = 0.5
    growth_interval: int = 2000
    scale: Variable = field(init=False, repr=False)
    good_steps: Variable = field(init=False, repr=False)

    def __post_init__(self) -> None:
        wanted = {
            "init_scale": (0 < self.init_scale < math.inf, "a positive number"),
            "growth_factor": (1 < self.growth_factor < math.inf, "a number above 1"),
            "backoff_factor": (0 < self.backoff_factor < 1, "a number between 0 and 1"),
            "growth_interval": (self.growth_interval >= 1, "a number of steps, 1 or more"),
        }
        for name, (right, fits) in wanted.items():
            if not right:
                raise ArgumentError(f"LossScale: {name} is {getattr(self, name)}", fits=fits)
        object.__setattr__(self, "scale", variable(self.init_scale, "loss_scale", "float32"))
        object.__setattr__(self, "good_steps", variable(0, "good_steps", "int32"))

    def grad(self, loss: Tensor, xs: Any, **options: Any) -> Any:
        """``gc.grad(loss, xs, **options)``, computed of ``loss * scale`` and divided by the scale. Errors are those of ``gc.grad``."""
        scaled = as_dtype(loss, dtypes.wide(loss.dtype)) * self.scale
        inverse = ops.reciprocal(self.scale)
        targets: list[Tensor] = [xs] if isinstance(xs, Tensor) else list(xs)
        shares = [g * as_dtype(inverse, g.dtype) for g in grad(scaled, targets, **options)]
        return shares[0] if isinstance(xs, Tensor) else shares

    def updates(self, updates: Mapping[Variable, Any], gradients: Sequence[Tensor]) -> dict[Variable, Tensor]:
        """All updates of the step: these where every gradient is finite, else the old values; and those of the scale itself.

        What should change in every step, such as averages of a batch normalisation, is merged with what this returns.
        """
        good = self.finite(gradients)
        steps = self.good_steps + 1
        grown = self.scale * self.growth_factor
        grows = ops.equal(steps, self.growth_interval)
        higher = ops.where(ops.logical_and(grows, ops.isfinite(grown)), grown, self.scale)
        kept = {weight: ops.where(good, new, weight) for weight, new in updates.items()}
        own = {
            self.scale: ops.where(good, higher, self.scale * self.backoff_factor),
            self.good_steps: ops.where(ops.logical_and(good, ops.logical_not(grows)), steps, 0),
        }
        return kept | own

    @staticmethod
    def finite(gradients: Sequence[Tensor]) -> Tensor:
        """Whether no element of any gradient is infinite or NaN."""
        return functools.reduce(ops.logical_and, [ops.all(ops.isfinite(g)) for g in gradients], as_tensor(True))
