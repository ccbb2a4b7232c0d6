"""Graphs as SymPy expressions: the graph is run on arrays of expressions."""

# SymPy has no types that a checker could use, so everything that is SymPy's is Any.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final, cast

import numpy as np

from graphc.core import (
    Bundle,
    Constant,
    Op,
    Subgraph,
    Tensor,
    TensorType,
    describe,
    dtypes,
    toposort,
)
from graphc.core.errors import ArgumentError, ShapeError
from graphc.lower.template import Written, call, helpers, imports, in_namespace, numpy_dtype_source, template_of
from graphc.symbolic.common import LIMIT, flat, form_of, sympy


def to_sympy(expr: Tensor, symbols: Mapping[Tensor, Any] | None = None, *, assumptions: Mapping[str, bool] | None = None) -> Any:
    """A graph as SymPy: an expression for a scalar, a ``Matrix`` for two axes, an ``ImmutableDenseNDimArray`` for any other number.

    A scalar leaf ``x`` becomes ``Symbol("x")``, the elements of any other become ``IndexedBase("x")[i, j]``. ``symbols`` says otherwise: it
    gives a leaf a symbol, a name, or (nested lists, an array, a Matrix of) an expression for each element. ``assumptions`` are those of
    the symbols, ``real=True`` by default. What comes out goes back through :func:`from_sympy`.

    Pointwise ops are written as the ``sympy`` of their record says, and everything else element by element. A constant becomes the
    simplest exact number that rounds to it in its dtype: ``0.1`` is 1/10, ``0.6931471805599453`` is log(2). NaN is taken to occur nowhere.

    Raises:
        ArgumentError: two leaves of one name, or an op that SymPy has no words for.
        ShapeError: a shape with named sizes, or of more than 4096 elements.
    """
    (value,) = _Writing(symbols or {}, dict(assumptions or {"real": True})).values([expr])
    return _shaped(value)


def _shaped(value: Any) -> Any:
    sp = sympy()
    if value.ndim == 0:
        return value[()]
    return (
        sp.ImmutableMatrix(*value.shape, list(value.flat)) if value.ndim == 2 else sp.ImmutableDenseNDimArray(list(value.flat), value.shape)
    )


def _objects(items: Sequence[Any], shape: Sequence[int]) -> Any:
    """An array whose elements are SymPy's."""
    found = np.empty(len(items), dtype=object)
    found[:] = items
    return found.reshape(tuple(shape))


class _Writing:
    """Graphs on their way to SymPy: every value is an array of expressions."""

    def __init__(self, symbols: Mapping[Tensor, Any], assumptions: Mapping[str, bool]) -> None:
        self.symbols, self.assumptions = symbols, assumptions
        self.known: dict[Tensor, Any] = {}
        self.taken: dict[str, Tensor] = {}

    def values(self, roots: Sequence[Tensor]) -> list[Any]:
        """The value of each root; a tuple of them for several results."""
        for node in toposort(roots):
            if node not in self.known:
                self.known[node] = self._value(node)
        return [self.known[root] for root in roots]

    def _value(self, node: Tensor) -> Any:
        _check_size(node)
        if isinstance(node, Constant):
            return _exact(node.value)
        if node.op is None:
            return self._leaf(node)
        xs = [self.known[x] for x in node.inputs]
        form = form_of(node.op)
        if form is not None and _is_told(node, form):
            return _elementwise(form, node.op, xs, node)
        special = _SPECIAL.get(node.op.name)
        if special is not None:
            return special(node, *xs)
        template = template_of(node, "numpy")
        if template is None or (node.op.expand is not None and not node.op.linear):
            return self._expanded(node)
        return _run(node, template, xs)

    def _leaf(self, node: Tensor) -> Any:
        sp = sympy()
        shape = cast("tuple[int, ...]", node.shape)
        given = self.symbols.get(node, node.label or "")
        if not isinstance(given, str):
            items = flat(given) if hasattr(given, "tolist") else list(sp.flatten(given)) if isinstance(given, list | tuple) else [given]
            if len(items) != node.size:
                raise ShapeError(
                    "to_sympy(expr, symbols): a leaf has too few or too many symbols", given=[describe(node)], fits=f"{node.size} of them"
                )
            return _objects([sp.sympify(item) for item in items], shape)
        name = given or f"x{len(self.taken)}"
        if name in self.taken:
            raise ArgumentError(
                f"to_sympy(expr, symbols): two leaves are called {name!r}",
                given=[describe(self.taken[name]), describe(node)],
                fits="symbols={leaf: name} with a name of its own for each",
            )
        self.taken[name] = node
        if not shape:
            return _objects([sp.Symbol(name, **self.assumptions)], ())
        base = sp.IndexedBase(sp.Symbol(name, **self.assumptions), shape=shape)
        return _objects([base[index] for index in np.ndindex(*shape)], shape)

    def _expanded(self, node: Tensor) -> Any:
        if node.op is None or node.op.expand is None:
            raise _no_words(node)
        result = node.op.expand(*node.inputs, **node.op.keywords(node))
        return tuple(self.values(list(result))) if isinstance(node.type, Bundle) else self.values([result])[0]


def _is_told(node: Tensor, form: Any) -> bool:
    """Whether a form says all that there is: an attribute that it leaves out has the value that it has by default."""
    op = node.op
    assert op is not None
    left_out = set(op.attributes) - {symbol.name for symbol in form.free_symbols}
    types = tuple([x.type for x in node.inputs])
    return all(name in op.defaults and op.canonical[name](op.defaults[name], types) == node.attributes[name] for name in left_out)


def _check_size(node: Tensor) -> None:
    parts = node.type.parts if isinstance(node.type, Bundle) else (node.type,)
    for type in parts:
        if dtypes.is_complex(type.dtype):
            raise _no_words(node, "only real numbers have")
        if not isinstance(type.size, int):
            raise ShapeError("to_sympy(expr): a shape has named sizes", given=[describe(node)], fits="sizes that are numbers")
        if type.size > LIMIT:
            raise ShapeError(f"to_sympy(expr): {type.size} elements are too many", given=[describe(node)], fits=f"up to {LIMIT} elements")


def _no_words(node: Tensor, why: str = "") -> ArgumentError:
    name = node.op.name if node.op else node.kind
    return ArgumentError(
        f"to_sympy(expr): {name} has no form in SymPy" + (f": {why}" if why else ""),
        given=[describe(node)],
        fits="pointwise ops whose record has a sympy=, and ops that move, add or multiply elements",
    )


def _elementwise(form: Any, op: Op, xs: Sequence[Any], node: Tensor) -> Any:
    """A form at every element of the operands."""
    sp = sympy()
    by_name = {symbol.name: symbol for symbol in form.free_symbols}
    attributes = {by_name[k]: _simplest(v, "float64") for k, v in op.keywords(node).items() if k in by_name}
    form = form.xreplace(attributes)
    shape = cast("tuple[int, ...]", node.shape)
    spread = [np.broadcast_to(x, shape) for x in xs]
    places = [(by_name[name], x) for name, x in zip(op.operands, spread, strict=True) if name in by_name]
    return _objects([sp.sympify(form.xreplace({s: x[i] for s, x in places})) for i in np.ndindex(*shape)], shape)


def _run(node: Tensor, template: str, xs: Sequence[Any]) -> Any:
    """What the op's NumPy source makes of arrays of expressions."""
    op = node.op
    assert op is not None
    if any(isinstance(value, Subgraph) for value in node.attrs):
        raise _no_words(node, "it loops")
    names = [f"x{i}" for i in range(len(xs))]
    source = call(node, in_namespace(template, "np"), names, Written(numpy_dtype_source, {}))
    scope: dict[str, Any] = {"np": np, **dict(zip(names, map(_plain_indices, node.inputs, xs), strict=True))}
    exec(imports([op]) + helpers([op]), scope)
    try:
        result = eval(source, scope)
    except (TypeError, AttributeError) as error:
        raise _no_words(node, str(error)) from error
    if isinstance(node.type, Bundle):
        return tuple([_sympified(part, type) for part, type in zip(result, node.type.parts, strict=True)])
    return _sympified(result, node.type)


def _plain_indices(x: Tensor, value: Any) -> Any:
    """Whole numbers that an op may look up elements by, as NumPy has them; expressions as they are."""
    if isinstance(value, tuple) or not dtypes.is_integer(x.dtype) or not all(item.is_Integer for item in value.flat):
        return value
    return value.astype(dtypes.numpy_dtype(x.dtype))


def _sympified(result: Any, type: TensorType) -> Any:
    array = np.asarray(result)
    return _exact(array) if array.dtype != object else _objects([sympy().sympify(item) for item in array.flat], cast("Any", type.shape))


# ---------------------------------------------------------------- whole ops
def _rows(x: Any, axis: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """The elements with the reduced axes last and flat, and the shape with these axes as 1."""
    rest = [i for i in range(x.ndim) if i not in axis]
    kept = tuple([1 if i in axis else n for i, n in enumerate(x.shape)])
    return np.transpose(x, [*rest, *axis]).reshape(math.prod(kept), -1), kept


def _reduction(join: Callable[..., Any]) -> Callable[..., Any]:
    def rule(node: Tensor, x: Any) -> Any:
        rows, _ = _rows(x, node.attributes["axis"])
        return _objects([join(*row) for row in rows], cast("Any", node.shape))

    return rule


def _softmax(of: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def rule(node: Tensor, x: Any) -> Any:
        sp = sympy()
        e = _objects([sp.exp(item) for item in x.flat], x.shape)
        rows, kept = _rows(e, node.attributes["axis"])
        total = np.broadcast_to(_objects([sp.Add(*row) for row in rows], kept), x.shape)
        return _objects([of(a, b) for a, b in zip(x.flat, total.flat, strict=True)], x.shape)

    return rule


def _cast(node: Tensor, x: Any) -> Any:
    sp, before, after = sympy(), node.inputs[0].dtype, node.dtype
    if before == "bool" and after != "bool":
        return _objects([sp.Piecewise((1, item), (0, True)) for item in x.flat], x.shape)
    if after == "bool" and before != "bool":
        return _objects([sp.Ne(item, 0) for item in x.flat], x.shape)
    if dtypes.is_float(before) and not dtypes.is_float(after):
        return _objects([sp.sign(item) * sp.floor(sp.Abs(item)) for item in x.flat], x.shape)
    return x


def _round(node: Tensor, x: Any) -> Any:
    """Halves go to the even neighbour."""
    sp = sympy()

    def nearest(u: Any) -> Any:
        up = sp.floor(u + sp.Rational(1, 2))
        tie = sp.Eq(u - sp.floor(u), sp.Rational(1, 2))
        return sp.Piecewise((2 * sp.floor(up / 2), tie), (up, True))

    return _objects([nearest(item) for item in x.flat], x.shape)


def _share(node: Tensor, x: Any, y: Any) -> Any:
    """One over how many elements equal the extremum, at each of them."""
    sp = sympy()
    y = np.broadcast_to(y, x.shape)
    hits = _objects([sp.Piecewise((1, sp.Eq(a, b)), (0, True)) for a, b in zip(x.flat, y.flat, strict=True)], x.shape)
    rows, kept = _rows(hits, node.attributes["axis"])
    return hits / np.broadcast_to(_objects([sp.Add(*row) for row in rows], kept), x.shape)


def _matrices(of: Callable[..., Any]) -> Callable[..., Any]:
    """A function of SymPy's matrices, along leading axes."""

    def rule(node: Tensor, *xs: Any) -> Any:
        sp = sympy()
        attributes = node.attributes
        xs = tuple([x[:, None] if x.ndim == 1 else x for x in xs])  # one axis alone is a column
        lead = np.broadcast_shapes(*[x.shape[:-2] for x in xs])
        stacks = [np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in xs]
        found: list[Any] = []
        for i in np.ndindex(*lead):
            value = of(*[sp.Matrix(*x[i].shape, list(x[i].flat)) for x in stacks], **attributes)
            found += list(value.flat()) if hasattr(value, "flat") else [value]
        return _objects(found, cast("Any", node.shape))

    return rule


_SPECIAL: Final[dict[str, Callable[..., Any]]] = {
    "cast": _cast,
    "round": _round,
    "ties": _share,
    "max": _reduction(lambda *xs: sympy().Max(*xs)),
    "min": _reduction(lambda *xs: sympy().Min(*xs)),
    "all": _reduction(lambda *xs: sympy().And(*xs)),
    "any": _reduction(lambda *xs: sympy().Or(*xs)),
    "prod": _reduction(lambda *xs: sympy().Mul(*xs)),
    "logsumexp": _reduction(lambda *xs: sympy().log(sympy().Add(*map(sympy().exp, xs)))),
    "softmax": _softmax(lambda x, total: sympy().exp(x) / total),
    "log_softmax": _softmax(lambda x, total: x - sympy().log(total)),
    "det": _matrices(lambda a: a.det()),
    "cofactors": _matrices(lambda a: a.cofactor_matrix()),
    "solve": _matrices(lambda a, b: a.LUsolve(b)),
    "inv": _matrices(lambda a: a.inv(method="ADJ")),  # elimination simplifies a symbolic pivot at each step
    "matrix_power": _matrices(lambda a, n: a**n),
}


# ---------------------------------------------------------------- numbers
def _exact(array: Any) -> Any:
    """A constant's elements as the simplest exact numbers."""
    dtype = dtypes.canonical(array.dtype)
    return _objects([_simplest(item, dtype) for item in array.reshape(-1).tolist()], array.shape)


def _simplest(value: Any, dtype: str) -> Any:
    """The simplest exact number that rounds to this one: a whole number, a short fraction or decimal, a multiple of a constant."""
    sp = sympy()
    if isinstance(value, bool | int):
        return sp.true if value is True else sp.false if value is False else sp.Integer(value)
    if not math.isfinite(value):
        return sp.nan if math.isnan(value) else sp.oo if value > 0 else -sp.oo
    kind = dtypes.numpy_dtype(dtype).type
    near = Fraction(value).limit_denominator(1000 if dtype == "float64" else 100)
    if kind(float(near)) == kind(value):
        return sp.Rational(near.numerator, near.denominator)
    for known in _constants():
        ratio = Fraction(value / float(known)).limit_denominator(180)
        exact = sp.Rational(ratio.numerator, ratio.denominator) * known
        if ratio and abs(float(exact) - value) <= abs(float(np.spacing(kind(value)))):  # math.sqrt(math.pi) is a unit off
            return exact
    short = repr(value) if dtype == "float64" else str(kind(value))
    return sp.Rational(short) if len(short) < 12 else sp.Float(value, 17)


@functools.cache
def _constants() -> tuple[Any, ...]:
    sp = sympy()
    pi = sp.pi
    logs = [sp.log(2), 1 / sp.log(2), sp.log(10), 1 / sp.log(10), sp.log(pi), sp.log(2 * pi)]
    roots = [sp.sqrt(2), sp.sqrt(pi), 1 / sp.sqrt(pi), sp.sqrt(2 * pi), 1 / sp.sqrt(2 * pi), sp.sqrt(2 / pi), sp.sqrt(3)]
    return (pi, *logs, *roots, 1 / pi, sp.E, sp.EulerGamma)
