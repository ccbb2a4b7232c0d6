"""What nodes cost: operations and bytes as formulas of the named sizes, and microseconds where the sizes are known.

A call takes its overhead and the longer of two times: that of its arithmetic, at the rate of its kind, and that of its bytes, at
the bandwidth of the memory that they lie in (the roofline model of Williams, Waterman and Patterson, 2009). The rates are
:class:`~graphc.lower.machine.Machine`'s. Estimates are for choosing between ways to compute the same; which way is chosen changes
values by rounding at most.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from graphc.core import Op, Tensor, TensorType, bodies, dtypes, sizes, toposort
from graphc.core.expr import Input
from graphc.core.sizes import Dim
from graphc.lower.machine import Machine, machine
from graphc.lower.template import out_template, template_of
from graphc.parallel import BLOCK_BYTES

Sizes = Mapping[str, int]
"""Numbers for named sizes."""
NOMINAL: Final = 128
"""What a named size is taken for where nothing is said of it."""


class Work(NamedTuple):
    """What is done: operations, and bytes that are read and written. They add up."""

    flops: Dim = 0
    read: Dim = 0
    written: Dim = 0

    def __add__(self, other: Work) -> Work:  # type: ignore[override]
        return Work(self.flops + other.flops, self.read + other.read, self.written + other.written)

    def times(self, count: Dim) -> Work:
        """The same so often."""
        return Work(self.flops * count, self.read * count, self.written * count)

    @property
    def nbytes(self) -> Dim:
        """Bytes read and written."""
        return self.read + self.written


# ---------------------------------------------------------------- operations and bytes
def work(node: Tensor) -> Work:
    """The operations and bytes of one node, as formulas of the named sizes. A leaf and a view have none."""
    if node.op is None or is_view(node):
        return Work()
    if bodies(node):
        inside = _sum(total(body.outputs) for body in bodies(node))
        return inside.times(_rounds(node))._replace(flops=node.op.count_flops(node))
    pieces = _pieces(node)
    if pieces:
        return _sum(map(work, pieces))._replace(flops=node.op.count_flops(node))
    return Work(node.op.count_flops(node), _read(node), node.type.nbytes)


def total(roots: Iterable[Tensor]) -> Work:
    """The operations and bytes of a graph, each node counted once."""
    return _sum(map(work, toposort(roots)))


def is_product(node: Tensor) -> bool:
    """Whether the node is a product of matrices."""
    return node.op is not None and node.op.name in _PRODUCTS


def products(nodes: Iterable[Tensor]) -> list[Dim]:
    """The operations of each product of matrices among the nodes, and of each convolution."""
    return [node.op.count_flops(node) for node in nodes if node.op and (node.op.name in _PRODUCTS or node.op.group == "convolution")]


def _sum(parts: Iterable[Work]) -> Work:
    return functools.reduce(Work.__add__, parts, Work())


def is_view(node: Tensor) -> bool:
    """Whether the node only looks at memory in another way. A reshape of what lies in strides is a copy."""
    op = node.op
    return op is not None and op.view and not (op.name == "reshape" and _lies_in_strides(node.inputs[0]))


def _lies_in_strides(x: Tensor) -> bool:
    return x.op is not None and x.op.view and x.op.name not in ("reshape", "expand_dims", "part", "guard")


def _stored(x: Tensor) -> TensorType:
    """The type of what is in memory: a broadcast repeats what it reads."""
    while x.op is not None and x.op.name in ("broadcast_to", "expand_dims"):
        x = x.inputs[0]
    return x.type


_SPARSE: Final = frozenset({"take", "take_along_axis", "getitem", "pick", "dynamic_slice"})
"""Ops that read of their first operand what the result has, and no more."""


def _read(node: Tensor) -> Dim:
    assert node.op is not None
    operands = node.inputs
    if node.op.name in _SPARSE:
        return sum([x.type.nbytes for x in operands[1:]], node.type.nbytes)
    return sum([_stored(x).nbytes for x in dict.fromkeys(operands)], cast("Dim", 0))


def _rounds(node: Tensor) -> Dim:
    """How often a loop computes its body; 1 where only the run can tell."""
    return node.attributes.get("length", 1)


def _pieces(node: Tensor) -> tuple[Tensor, ...]:
    """The nodes that stand for this one on NumPy where it has no form of its own there."""
    if template_of(node, "numpy") is not None or node.op is None or node.op.expand is None:
        return ()
    return _expanded(node.op, node.attrs, tuple([x.type for x in node.inputs]))


def _expanded(op: Op, attrs: tuple[Any, ...], types: tuple[TensorType, ...]) -> tuple[Tensor, ...]:
    assert op.expand is not None
    result = op.expand(*[Input(None, (), (), type) for type in types], **dict(zip(op.attributes, attrs, strict=True)))
    return tuple(toposort([result] if isinstance(result, Tensor) else result))


# ---------------------------------------------------------------- microseconds
_ROOTS: Final = frozenset({"divide", "reciprocal", "sqrt", "cbrt", "rsqrt", "sign"})
_EXPONENTIALS: Final = frozenset(
    {"exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "power", "xlogy", "xlog1py", "tan", "asin", "acos", "atan", "atan2"}
    | {"sinh", "cosh", "tanh", "asinh", "acosh", "atanh"}
)
_CIRCULAR: Final = frozenset({"sin", "cos"})
_CHOICES: Final = frozenset({"where", "clip", "logical_and", "logical_or", "logical_xor", "logical_not", "deg2rad", "rad2deg"})
_REMAINDERS: Final = frozenset({"mod", "floor_divide", "hypot"})
_PLAIN_FUNCTIONS: Final = frozenset({"where", "clip", "broadcast_to"})
"""Pointwise ops and views for which the source calls a function of NumPy's written in Python."""
_PRODUCTS: Final = frozenset({"matmul", "moved_product"})
_ROUTINES: Final = frozenset({"linalg", "fft"})
_HELPED: Final = 4
"""How many of NumPy's functions a helper of emitted source calls."""
_REDUCED: Final = (4, 12)
"""How many times as long as an elementwise loop a loop of a reduction takes to begin: across rows, and along one."""
SPECIAL: Final = 20
"""Declared operations an element from which on a pointwise op is one of SciPy's functions."""


class Estimate:
    """Estimates for one machine and one choice of sizes. Names without a number are taken for ``unknown``."""

    def __init__(self, known: Sizes | None = None, constants: Machine | None = None, *, unknown: int = NOMINAL) -> None:
        self.machine = constants or machine()
        self._known = defaultdict(lambda: unknown, known or {})
        self._cache: dict[Any, float] = {}

    def number(self, size: Dim) -> int:
        """The size as a number."""
        return sizes.bind(size, self._known)

    def __call__(self, node: Tensor) -> float:
        """Microseconds of one node, its call included. Leaves and parts of several results take none."""
        op = node.op
        if op is None or op.name == "part":
            return 0.0
        # What is asked of the operands beyond their types: what they store, and whether they lie in strides.
        key = (op, node.attrs, node.type, *[(x.type, _stored(x), _lies_in_strides(x)) for x in node.inputs])
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._estimated(node)
        return found

    def total(self, roots: Iterable[Tensor]) -> float:
        """Microseconds of a graph, node by node, each once."""
        return self.total_of(toposort(roots))

    def total_of(self, nodes: Iterable[Tensor]) -> float:
        """Microseconds of these nodes."""
        return math.fsum(map(self, nodes))

    def _estimated(self, node: Tensor) -> float:
        if is_view(node):
            return self.overhead(node)
        if bodies(node):
            inside = [self.total(body.outputs) for body in bodies(node)]
            branch = node.op is not None and node.op.name == "cond"
            return self.number(_rounds(node)) * (max(inside) if branch else math.fsum(inside)) + self.machine.call
        pieces = _pieces(node)
        if pieces:
            return math.fsum(map(self, pieces))
        return self.overhead(node) + max(self.arithmetic(node), self.memory(node))

    def overhead(self, node: Tensor) -> float:
        """Microseconds of a call that has nothing to do."""
        assert node.op is not None
        if node.op.group in _ROUTINES:
            return self.machine.routine
        if node.op.name == "sum":  # by a product with ones wherever that is right
            return 2 * self.machine.call
        if node.op.helper and out_template(node) is None:
            return _HELPED * self.machine.function
        plain = node.op.name not in _PLAIN_FUNCTIONS and (
            node.op.pointwise or node.op.view or node.op.name in _PRODUCTS or node.op.name == "count"
        )
        return self.machine.call if plain else self.machine.function

    def memory(self, node: Tensor) -> float:
        """Microseconds in which the bytes of a node come and go."""
        amount = self.number(work(node).nbytes)
        return amount / (self.machine.near if amount <= self.machine.cache else self.machine.far)

    def arithmetic(self, node: Tensor) -> float:
        """Microseconds of the operations alone."""
        op = node.op
        assert op is not None
        if op.pointwise:
            return self._pointwise(node)
        if op.name in _PRODUCTS or op.group == "convolution":
            return self._product(node)
        if op.group in ("reduce", "accumulation"):
            return self._reduction(node)
        flops = self.number(op.count_flops(node))
        if op.group in _ROUTINES:
            return flops / self.machine.routines * _widening(node)
        if op.group in ("index", "scatter"):
            return self._places(node)
        return self._passes(node) if op.helper else flops * self._rates(node, self.machine.root) * 1e-3

    def _rates(self, node: Tensor, pair: tuple[float, float]) -> float:
        """Nanoseconds an element in the dtype that is computed in."""
        dtype = node.inputs[0].dtype if node.inputs else node.dtype
        rate = pair[dtypes.itemsize(dtype) // (2 if dtypes.is_complex(dtype) else 1) > 4] if dtypes.is_inexact(dtype) else pair[0]
        return rate * (4 if dtypes.is_complex(dtype) else 1)

    def _pointwise(self, node: Tensor) -> float:
        op = node.op
        assert op is not None
        m, count = self.machine, self.number(node.size)
        found = self._rates(node, self._kind(node))
        if not callable(op.flops) and op.flops >= SPECIAL:
            found = op.flops * m.special
        if any(x.dtype in ("float16", "bfloat16") for x in node.inputs):
            found += m.narrow_types
        return (count * found) * 1e-3 + self._beginnings(node) * m.loop

    def _kind(self, node: Tensor) -> tuple[float, float]:
        assert node.op is not None
        m, name = self.machine, node.op.name
        truth = all(x.dtype == "bool" for x in node.inputs)
        for names, pair in (
            (_ROOTS, m.root),
            (_EXPONENTIALS, m.exponential),
            (_CIRCULAR, m.circular),
            (_REMAINDERS, m.remainder),
        ):
            if name in names:
                return pair
        return m.choice if name in _CHOICES and not truth else (0.0, 0.0)  # arithmetic takes the time of its bytes

    def _beginnings(self, node: Tensor) -> int:
        """How often the innermost loop begins: once, unless an operand is repeated or lies in strides."""
        whole = all(_stored(x) == x.type == node.type.with_dtype(x.dtype) or x.size == 1 for x in node.inputs)
        if whole and not any(map(_lies_in_strides, node.inputs)):
            return 1
        return self.number(sizes.product(node.shape[:-1]))

    def _reduction(self, node: Tensor) -> float:
        x = node.inputs[0]
        axes = node.attributes.get("axis")
        last = x.ndim - 1
        along_rows = axes is None or axes == last or (isinstance(axes, tuple) and last in axes)
        if node.op is not None and node.op.name == "sum" and _is_outer(node.attributes["axis"], x.ndim):
            return 0.0  # a product with ones
        rate = (12e3 if along_rows else 2e3) / self.machine.near  # nanoseconds: three times, and half, what its bytes take
        wide = dtypes.itemsize(x.dtype) / 4
        loops = self.number(node.size) if along_rows else self.number(sizes.product(x.shape[:-1]))
        return self.number(x.size) * rate * wide * 1e-3 + loops * _REDUCED[along_rows] * self.machine.loop

    def _product(self, node: Tensor) -> float:
        assert node.op is not None
        flops = self.number(node.op.count_flops(node))
        if not flops or not dtypes.is_inexact(node.dtype):
            return flops * 1e-3  # no BLAS for whole numbers
        a, b = node.inputs[:2]
        result, deep = self.number(node.size), flops / max(1, 2 * self.number(node.size))
        if node.op.group == "convolution":  # a product of windows, which are copied and added up
            rate = self.machine.product / 2 * deep / (deep + self.machine.thin)
            return flops / rate * _widening(node)
        rows, columns = (self.number(x.shape[i]) if x.ndim > 1 else 1 for x, i in ((a, -2), (b, -1)))
        thinnest = min(rows, columns, deep)
        # A matrix times a vector takes the time of its bytes.
        rate = self.machine.product * thinnest / (thinnest + self.machine.thin) if min(rows, columns) > 1 else math.inf
        return flops / rate * _widening(node) + result / max(1, rows * columns) * self.machine.item

    def _passes(self, node: Tensor) -> float:
        """A function of several calls: a pass over the larger of operand and result for each operation an element, and three to move it."""
        assert node.op is not None
        wide = max((node, *node.inputs), key=lambda x: self.number(x.size))
        elements = max(1, self.number(wide.size))
        passes = 3 + self.number(node.op.count_flops(node)) / elements
        rows = self.number(sizes.product(wide.shape[:-1]))
        return passes * (self.memory(node) + rows * self.machine.loop)

    def _places(self, node: Tensor) -> float:
        assert node.op is not None
        if node.op.name in ("add_at", "add_along_axis", "max_at", "min_at", "set_at"):
            return self.number(node.inputs[-1].size) * self.machine.scatter * 1e-3
        if node.op.name == "take" and node.inputs[1].ndim < node.ndim:  # whole rows
            return self.number(node.inputs[1].size) * self.machine.loop
        return self.number(node.size) * self.machine.gather * 1e-3


def _is_outer(axes: tuple[int, ...], ndim: int) -> bool:
    """Whether these are the first axes or the last ones."""
    return axes in (tuple(range(len(axes))), tuple(range(ndim - len(axes), ndim)))


def _widening(node: Tensor) -> float:
    """How much longer an operation takes than in float32: twice in float64."""
    return max(1.0, dtypes.itemsize(node.inputs[0].dtype) / 4 / (2 if dtypes.is_complex(node.inputs[0].dtype) else 1))


# ---------------------------------------------------------------- choices
RECKONED_BLOCK: Final = BLOCK_BYTES // 2
"""Bytes of the widest array's rows in a block, as estimates count blocks: half of the most that a block has."""


class Ways(NamedTuple):
    """Microseconds of some nodes: ``whole``, one after the other; in a loop over ``blocks`` of rows; and that on ``threads``."""

    whole: float
    blocks: float
    threads: float

    @property
    def loop_pays(self) -> bool:
        """Whether a loop is quicker, and not within what an estimate is wrong by."""
        return min(self.blocks, self.threads) < 0.9 * self.whole


def ways(nodes: Sequence[Tensor], kept: Iterable[Tensor], rows: int, estimate: Estimate, *, threads: int = 1) -> Ways:
    """What it takes to compute nodes that work by rows; ``kept`` are those that are read elsewhere.

    In a loop every call is made once a block, and what stays inside never leaves the cache. Calls hold the interpreter's lock,
    so that threads share the rest alone.
    """
    m, inside = estimate.machine, set(nodes)
    widest = max([estimate.number(node.type.nbytes) // max(1, rows) for node in nodes], default=1)
    blocks = -(-rows // max(1, min(rows, RECKONED_BLOCK // max(1, widest))))
    calls = len(nodes) * m.call * blocks + m.function
    outside = {x for node in nodes for x in node.inputs if x not in inside} | set(kept)
    traffic = sum([estimate.number(_stored(x).nbytes) for x in outside])
    busy = math.fsum(max(estimate.arithmetic(node), estimate.number(work(node).nbytes) / m.near) for node in nodes)
    if traffic > m.cache:
        busy += traffic * (1 / m.far - 1 / m.near)
    shared = calls + busy / max(1, threads) + (m.hand_over * (threads - 1))
    return Ways(estimate.total_of(nodes), calls + busy, shared if threads > 1 else calls + busy)


class Totals(NamedTuple):
    """What a graph takes: its work as formulas of the named sizes, and an estimate of the time of its nodes one by one."""

    work: Work
    microseconds: float

    def __str__(self) -> str:
        flops, read, written = self.work
        return f"{flops} flops, {read} bytes read, {written} written, about {self.microseconds:.4g} us"


def totals(roots: Iterable[Tensor], estimate: Estimate) -> Totals:
    """The totals of a graph."""
    nodes = toposort(roots)
    return Totals(_sum(map(work, nodes)), estimate.total_of(nodes))


def dearest(roots: Iterable[Tensor], estimate: Estimate, count: int = 10) -> list[str]:
    """A line for each of the nodes that take longest: microseconds, share of the whole, op, type, the user's line."""
    nodes = toposort(roots)
    whole = estimate.total_of(nodes) or 1.0
    found = sorted(((estimate(node), i, node) for i, node in enumerate(nodes) if node.op is not None), key=lambda one: (-one[0], one[1]))
    return [
        f"{taken:10.2f} us {taken / whole:5.1%}  {node.op.name if node.op else ''} {node.type}"
        + (f"  {node.origin}" if node.origin else "")
        for taken, _, node in found[:count]
    ]
