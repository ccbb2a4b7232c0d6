"""SymPy both ways: an expression as a graph, a graph as expressions, and pointwise ops declared by a formula.

>>> import graphc as gc, sympy
>>> x = sympy.Symbol("x", real=True)
>>> soft = gc.pointwise("my_softplus", sympy.log(1 + sympy.exp(x)))
>>> gc.from_sympy(sympy.sin(x) ** 2, {x: gc.input("t", (3,))})
<square f32[3]>
>>> gc.to_sympy(gc.sum(gc.square(gc.input("x", (2,)))))
x[0]**2 + x[1]**2
"""

# SymPy has no types that a checker could use, so everything that is SymPy's is Any.
from __future__ import annotations

import functools
import itertools
import keyword
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final, cast

import numpy as np

from graphc import ops
from graphc.core import OPS, Bundle, Constant, Op, Tensor, TensorType, as_tensor, constant, describe, dtypes, register, sizes, toposort
from graphc.core.errors import ArgumentError, GradientError, ShapeError
from graphc.core.op import as_dtype, common_dtype
from graphc.lower.template import attribute, fill, helpers, imports, numpy_dtype_source, template_of

LIMIT: Final = 4096
"""Entries that a tensor may have to become SymPy expressions, and terms that a ``Sum`` may have to become a graph."""


def _sympy() -> Any:
    """SymPy, which takes half a second to import."""
    import sympy

    return sympy


# ---------------------------------------------------------------- from SymPy
def from_sympy(expr: Any, values: Mapping[Any, Any]) -> Tensor:
    """A SymPy expression as a graph over tensors.

    ``values`` gives each symbol (or its name) a tensor, an array or a number. Scalar symbols stand for tensors of any shape: the
    expression is meant element by element, with broadcasting. A ``MatrixSymbol`` stands for a matrix or a stack of matrices, an
    ``IndexedBase`` for a tensor of which elements are read. A ``Matrix`` or array of expressions is stacked along last axes.

    Exact numbers become literals, which take the dtype of the tensors that they meet. ``x**(1/3)`` is the real cube root, also of
    negative numbers; ``Heaviside(x)`` is 1/2 at 0, as in SymPy, unless its second argument says otherwise; a ``Piecewise`` none of whose
    conditions holds is NaN. Nothing is simplified, or spelt in another way: that is what the rewrite rules of ``gc.compile`` do.

    Raises:
        ArgumentError: a symbol without a value, a function that graphc has no op for, a number that is not real.
        ShapeError: a tensor that does not have the shape of its ``MatrixSymbol``.
    """
    lower = _Lowering(values)
    return lower.tensor(lower(_sympy().sympify(expr)))


class _Lowering:
    """One expression on its way to a graph. A call gives a tensor, or a Python number where no tensor takes part."""

    def __init__(self, values: Mapping[Any, Any]) -> None:
        self.values: dict[Any, Any] = {symbol: _operand(value) for symbol, value in values.items()}
        self.names: dict[str, Any] = {str(symbol): value for symbol, value in self.values.items()}
        self.tensors = [value for value in self.values.values() if isinstance(value, Tensor)]
        self.known: dict[Any, Any] = {}

    def __call__(self, e: Any) -> Any:
        """The value of a part, each part once."""
        if e not in self.known:
            self.known[e] = self._lower(e)
        return self.known[e]

    def _lower(self, e: Any) -> Any:
        sp = _sympy()
        if isinstance(e, sp.Symbol | sp.MatrixSymbol | sp.IndexedBase):
            return self._value(e)
        if isinstance(e, sp.matrices.MatrixBase | sp.NDimArray):
            return self._stacked(e)
        if e in (sp.true, sp.false):
            return bool(e)
        if isinstance(e, sp.Expr) and e.is_number and not e.is_Matrix:
            found = _number(e)
            if found is not None:
                return found
        rule = next((_RULES[kind.__name__] for kind in type(e).__mro__ if kind.__name__ in _RULES), None)
        return self._function(e) if rule is None else rule(self, e)

    def _value(self, e: Any) -> Any:
        if e not in self.values and str(e) not in self.names:
            raise ArgumentError(
                f"from_sympy(expr, values): {e} has no value",
                given=[f"values for {', '.join(self.names) or 'nothing'}"],
                fits=f"{{{e}: tensor}}",
            )
        value = self.values[e] if e in self.values else self.names[str(e)]
        if getattr(e, "is_Matrix", False):
            _check_matrix(e, value)
        return value

    def _function(self, e: Any) -> Any:
        name = getattr(type(e), "graphc_op", None)
        if name is None and type(e).__module__.startswith("sympy.codegen"):
            name = type(e).__name__.lower()
        if name in OPS:
            return self.call(OPS[name], e.args)
        for op, pattern in _functions().get(type(e).__name__, []):
            found = _matched(op, pattern, e)
            if found is not None:
                return self.call(op, found[0], found[1])
        raise ArgumentError(
            f"from_sympy(expr, values): there is no op for {type(e).__name__}",
            given=[f"expr: {e}"],
            fits="a function that an op's sympy= names; gc.pointwise declares more",
        )

    def call(self, op: Callable[..., Any], args: Iterable[Any], attributes: Mapping[str, Any] | None = None) -> Any:
        """An op on lowered operands; numbers alone are computed in the dtype of the tensors."""
        found = [self(arg) for arg in args]
        if found and not any(isinstance(x, Tensor) for x in found):
            found[0] = as_dtype(found[0], self.dtype(found))
        return op(*found, **(attributes or {}))

    def dtype(self, literals: Iterable[Any] = ()) -> str:
        """The dtype in which the tensors and these literals meet."""
        return common_dtype([*self.tensors, *literals])

    def tensor(self, value: Any) -> Tensor:
        """A number as a tensor of the dtype that it has among the tensors."""
        return value if isinstance(value, Tensor) else as_dtype(value, "bool" if isinstance(value, bool) else self.dtype([value]))

    def choice(self, condition: Any, a: Any, b: Any) -> Any:
        """``a`` where the condition holds, else ``b``."""
        if not isinstance(condition, Tensor):
            return a if condition else b
        if not isinstance(a, Tensor) and not isinstance(b, Tensor):
            a = as_dtype(a, self.dtype([a, b]))
        return ops.where(condition, a, b)

    def _stacked(self, e: Any) -> Tensor:
        entries = [self(entry) for entry in _flat(e)]
        shape = tuple(map(int, e.shape))
        dtype = common_dtype(entries) if entries and any(isinstance(x, Tensor) for x in entries) else self.dtype([*entries, 0.0])
        if not any(isinstance(x, Tensor) for x in entries):
            return constant(np.reshape(np.array(entries, dtypes.numpy_dtype(dtype)), shape), dtype)
        tensors = [as_dtype(entry, dtype) for entry in entries]
        common = sizes.broadcast([x.shape for x in tensors])
        rows = ops.stack([ops.broadcast_to(x, shape=common) if x.shape != common else x for x in tensors], axis=-1)
        return ops.reshape(rows, (*common, *shape))


def _operand(value: Any) -> Any:
    """What a symbol stands for; numbers stay weak."""
    return value if isinstance(value, bool | int | float) else as_tensor(value)


def _flat(e: Any) -> list[Any]:
    return list(e.flat()) if hasattr(e, "flat") else list(_sympy().flatten(e.tolist()))


def _check_matrix(e: Any, value: Any) -> None:
    shape = value.shape if isinstance(value, Tensor) else ()
    wanted = [int(size) if size.is_Integer else None for size in e.shape]
    fits = len(shape) >= 2 and all(n is None or not isinstance(m, int) or n == m for n, m in zip(wanted, shape[-2:], strict=True))
    if not fits:
        raise ShapeError(
            f"from_sympy(expr, values): {e} is a matrix of shape {e.shape}",
            given=[describe(value) if isinstance(value, Tensor) else repr(value)],
            fits=f"a tensor whose last two axes are {e.shape}",
        )


def _number(e: Any) -> int | float | None:
    """A number of SymPy's as Python's, a float right to its 17 digits; None for what SymPy cannot evaluate."""
    sp = _sympy()
    if e.is_Integer and abs(int(e)) < 2**63:
        return int(e)
    if e.is_Rational:
        return int(e.p) / int(e.q)
    value = e if e in (sp.oo, -sp.oo, sp.nan) else e.evalf(25)
    if not value.is_Number:
        if value.is_number and value.is_real is False:
            raise ArgumentError(
                f"from_sympy(expr, values): {e} is not a real number", given=[f"its value: {value}"], fits="an expression in real numbers"
            )
        return None
    return float(value)


@functools.cache
def _form_of(op: Op) -> Any:
    """What an op is in SymPy, as an expression in symbols named like its operands and attributes, or None."""
    sp = _sympy()
    text = op.sympy or _FORMS.get(op.name)
    if text is None:
        return None
    real = op.sympy is not None
    known = {name: sp.Symbol(name, real=True) if real else sp.Symbol(name) for name in (*op.operands, *op.attributes)}
    return sp.sympify(text, locals=known)


def _functions() -> dict[str, list[tuple[Op, Any]]]:
    """For each SymPy function, the ops whose whole form is a call of it."""
    sp = _sympy()
    found: dict[str, list[tuple[Op, Any]]] = {}
    for op in OPS.values():
        form = _form_of(op) if op.sympy and op.name not in _declared else None
        if (
            isinstance(form, sp.Function)
            and not isinstance(form, sp.Piecewise)
            and all(arg.is_Symbol or arg.is_number for arg in form.args)
        ):
            found.setdefault(type(form).__name__, []).append((op, form))
    return found


def _matched(op: Op, pattern: Any, e: Any) -> tuple[list[Any], dict[str, Any]] | None:
    """The operands and attributes with which the op is this call, or None."""
    if len(pattern.args) != len(e.args):
        return None
    bound: dict[str, Any] = {}
    for wanted, arg in zip(pattern.args, e.args, strict=True):
        if wanted.is_Symbol:
            bound[wanted.name] = arg
        elif wanted != arg:
            return None
    if any(name in bound and not bound[name].is_number for name in op.attributes):
        return None
    attributes = {name: _number(bound[name]) for name in op.attributes if name in bound}
    return [bound[name] for name in op.operands], attributes


# ---------------------------------------------------------------- one rule a kind of SymPy node
def _add(lower: _Lowering, e: Any) -> Any:
    terms = list(e.as_ordered_terms())
    first = next((i for i, term in enumerate(terms) if not _is_negative(term)), 0)
    total = lower(terms.pop(first))
    for term in terms:
        total = total - lower(-term) if _is_negative(term) else total + lower(term)
    return total


def _is_negative(term: Any) -> bool:
    return bool(term.as_coeff_Mul()[0].is_negative)


def _mul(lower: _Lowering, e: Any) -> Any:
    sp = _sympy()
    numbers, rest = sp.sift(e.args, lambda factor: factor.is_number, binary=True)
    for base, op in ((2, ops.log2), (10, ops.log10)):
        logs = [factor for factor in rest if isinstance(factor, sp.log)]
        if logs and 1 / sp.log(base) in numbers:
            numbers.remove(1 / sp.log(base))
            rest.remove(logs[0])
            other = sp.Mul(*numbers, *rest)
            found = lower.call(op, [logs[0].args[0]])
            return found if other == 1 else lower(other) * found
    below = [factor for factor in rest if factor.is_Pow and factor.exp.is_Rational and factor.exp.is_negative]
    above = [factor for factor in rest if factor not in below]
    number = sp.Mul(*numbers)
    if len(below) == 1 and not above and number == 1:
        return _reciprocal(lower, below[0].base, -below[0].exp)
    bottom = _product(lower, [factor.base ** (-factor.exp) for factor in below])
    if not above:
        return lower(number) / bottom
    top = _scaled(lower, number, _product(lower, above))
    return top if bottom is None else top / bottom


def _product(lower: _Lowering, factors: Sequence[Any]) -> Any:
    return functools.reduce(lambda a, b: a * b, map(lower, factors)) if factors else None


def _scaled(lower: _Lowering, number: Any, value: Any) -> Any:
    if number == 1:
        return value
    if number == -1:
        return -value
    return value / int(number.q) if number.is_Rational and number.p == 1 and number.q < 2**53 else lower(number) * value


def _pow(lower: _Lowering, e: Any) -> Any:
    base, exponent = e.args
    if exponent.is_Rational and exponent.is_negative:
        return _reciprocal(lower, base, -exponent)
    root = _POWERS.get(str(exponent))
    if root is not None:
        return lower.call(root, [base])
    return lower.call(ops.exp2, [exponent]) if base == 2 else lower.call(ops.power, [base, exponent])


def _reciprocal(lower: _Lowering, base: Any, exponent: Any) -> Any:
    if str(exponent) == "1/2":
        return lower.call(ops.rsqrt, [base])
    return ops.reciprocal(lower.tensor(lower(base if exponent == 1 else base**exponent)))


_POWERS: Final[dict[str, Op]] = {"2": ops.square, "1/2": ops.sqrt, "1/3": ops.cbrt}


def _logical(op: Op) -> Callable[[_Lowering, Any], Any]:
    return lambda lower, e: functools.reduce(op, [lower.tensor(lower(arg)) for arg in e.args])


def _joined(op: Op) -> Callable[[_Lowering, Any], Any]:
    """An op of two operands for a SymPy node of many."""
    return lambda lower, e: functools.reduce(op, map(lower, e.args))


def _piecewise(lower: _Lowering, e: Any) -> Any:
    value: Any = math.nan
    for branch, condition in reversed(e.args):
        value = lower.choice(lower(condition), lower(branch), value)
    return value


def _step(lower: _Lowering, e: Any) -> Any:
    x, middle = lower(e.args[0]), e.args[1]
    if middle == _sympy().Rational(1, 2):
        return 0.5 * (1 + ops.sign(lower.tensor(x)))
    return lower.choice(x > 0, 1, lower.choice(ops.equal(x, 0), lower(middle), 0))


def _delta(lower: _Lowering, e: Any) -> Any:
    raise ArgumentError("from_sympy(expr, values): DiracDelta is a distribution", given=[f"expr: {e}"], fits="functions")


def _unrolled(join: Callable[[Any, Any], Any]) -> Callable[[_Lowering, Any], Any]:
    def rule(lower: _Lowering, e: Any) -> Any:
        return functools.reduce(join, map(lower, itertools.islice(_terms(e, e.function, e.limits), LIMIT + 1)), _EMPTY[type(e).__name__])

    return rule


_EMPTY: Final = {"Sum": 0, "Product": 1}


def _terms(whole: Any, e: Any, limits: Sequence[Any]) -> Iterator[Any]:
    """The terms of a sum or a product, whose innermost range comes first among its limits."""
    if not limits:
        yield e
        return
    *inner, (index, first, last) = limits
    if not (first.is_Integer and last.is_Integer) or last - first >= LIMIT:
        raise ArgumentError(
            f"from_sympy(expr, values): {whole} has no range that is known and short",
            given=[f"{index} from {first} to {last}"],
            fits=f"whole numbers, and up to {LIMIT} terms",
        )
    for value in range(int(first), int(last) + 1):
        at = {index: value}
        yield from _terms(whole, e.subs(at), [limit.subs(at) for limit in inner])


def _indexed(lower: _Lowering, e: Any) -> Any:
    return _element(lower, e, lower(e.base), e.indices)


def _element(lower: _Lowering, e: Any, x: Any, indices: Sequence[Any], before: tuple[Any, ...] = ()) -> Any:
    if not all(index.is_Integer for index in indices):
        raise ArgumentError(
            f"from_sympy(expr, values): the indices of {e} are not numbers",
            given=[f"indices: {', '.join(map(str, indices))}"],
            fits="whole numbers; gc.take reads at a tensor of indices",
        )
    return x[(*before, *map(int, indices))]


# ---------------------------------------------------------------- matrices
def _matrix_product(lower: _Lowering, e: Any) -> Any:
    number, matrices = e.as_coeff_matrices()
    values: list[Any] = []
    for matrix in reversed(matrices):
        if values and type(matrix).__name__ == "Inverse":
            values[-1] = ops.linalg.solve(lower(matrix.arg), functools.reduce(lambda b, a: ops.matmul(a, b), values))
            del values[:-1]
        else:
            values.append(lower(matrix))
    product = functools.reduce(ops.matmul, reversed(values))
    return (
        product
        if number == 1
        else _scaled(lower, number, product)
        if number.is_number
        else lower.tensor(lower(number))[..., None, None] * product
    )


def _matrix_power(lower: _Lowering, e: Any) -> Any:
    if not e.exp.is_Integer:
        raise ArgumentError("from_sympy(expr, values): a power of a matrix", given=[f"expr: {e}"], fits="a whole exponent")
    return ops.linalg.matrix_power(lower(e.base), int(e.exp))


def _sized(make: Callable[[int, int], Any]) -> Callable[[_Lowering, Any], Any]:
    """A constant matrix, whose sizes have to be numbers."""

    def rule(lower: _Lowering, e: Any) -> Any:
        if not all(size.is_Integer for size in e.shape):
            raise ArgumentError(f"from_sympy(expr, values): {e} has no size", given=[f"shape: {e.shape}"], fits="whole numbers")
        return constant(make(*map(int, e.shape)), lower.dtype([0.0]))

    return rule


def _transposed(lower: _Lowering, e: Any) -> Any:
    x = lower(e.arg)
    return ops.transpose(x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


_RULES: Final[dict[str, Callable[[_Lowering, Any], Any]]] = {
    "Add": _add,
    "Mul": _mul,
    "Pow": _pow,
    "Max": _joined(ops.maximum),
    "Min": _joined(ops.minimum),
    "Piecewise": _piecewise,
    "ITE": lambda lower, e: lower.choice(*map(lower, e.args)),
    "Heaviside": _step,
    "DiracDelta": _delta,
    "Mod": _joined(ops.mod),
    "frac": lambda lower, e: lower(e.args[0]) - ops.floor(lower(e.args[0])),
    "sec": lambda lower, e: ops.reciprocal(ops.cos(lower(e.args[0]))),
    "csc": lambda lower, e: ops.reciprocal(ops.sin(lower(e.args[0]))),
    "cot": lambda lower, e: ops.reciprocal(ops.tan(lower(e.args[0]))),
    "coth": lambda lower, e: ops.reciprocal(ops.tanh(lower(e.args[0]))),
    "csch": lambda lower, e: ops.reciprocal(ops.sinh(lower(e.args[0]))),
    "sech": lambda lower, e: _sech(lower(e.args[0])),
    "fma": lambda lower, e: lower(e.args[0]) * lower(e.args[1]) + lower(e.args[2]),
    "conjugate": lambda lower, e: lower(e.args[0]),
    "Equality": _joined(ops.equal),
    "Unequality": _joined(ops.not_equal),
    "StrictLessThan": _joined(ops.less),
    "LessThan": _joined(ops.less_equal),
    "StrictGreaterThan": _joined(ops.greater),
    "GreaterThan": _joined(ops.greater_equal),
    "And": _logical(ops.logical_and),
    "Or": _logical(ops.logical_or),
    "Not": lambda lower, e: ops.logical_not(lower.tensor(lower(e.args[0]))),
    "Xor": _logical(ops.not_equal),
    "Sum": _unrolled(lambda a, b: a + b),
    "Product": _unrolled(lambda a, b: a * b),
    "Indexed": _indexed,
    "MatrixElement": lambda lower, e: _element(lower, e, lower(e.parent), (e.i, e.j), (...,)),
    "MatAdd": _joined(ops.add),
    "MatMul": _matrix_product,
    "MatPow": _matrix_power,
    "Transpose": _transposed,
    "Inverse": lambda lower, e: ops.linalg.inv(lower(e.arg)),
    "Trace": lambda lower, e: ops.linalg.trace(lower(e.arg)),
    "Determinant": lambda lower, e: ops.linalg.det(lower(e.arg)),
    "HadamardProduct": _joined(ops.multiply),
    "HadamardPower": _joined(ops.power),
    "Identity": _sized(np.eye),
    "ZeroMatrix": _sized(lambda m, n: np.zeros((m, n))),
    "OneMatrix": _sized(lambda m, n: np.ones((m, n))),
    "sech2": lambda lower, e: _sech2(lower(e.args[0])),
    "bose": lambda lower, e: _bose(lower(e.args[0])),
    "log_cosh": lambda lower, e: _log_cosh(lower(e.args[0])),
    "leg": lambda lower, e: _leg(*map(lower, e.args)),
}


# ---------------------------------------------------------------- what a declared formula may be spelt with
def _sech(x: Tensor) -> Tensor:
    return 2 * ops.exp(-ops.logaddexp(x, -x))


def _sech2(x: Tensor) -> Tensor:
    return 4 * ops.sigmoid(2 * x) * ops.sigmoid(-2 * x)


def _bose(x: Tensor) -> Tensor:
    """``1 / (exp(x) - 1)``: neither form overflows on its own side of 0."""
    return ops.where(x > 0, ops.exp(-x) / -ops.expm1(-x), ops.reciprocal(ops.expm1(x)))


def _log_cosh(x: Tensor) -> Tensor:
    """``log(cosh(x))``: near 0 without the difference that cancels, far out without the ``cosh`` that overflows."""
    return ops.where(ops.abs(x) < 1, ops.log1p(2 * ops.square(ops.sinh(x / 2))), ops.logaddexp(x, -x) - math.log(2))


def _leg(a: Any, b: Any) -> Tensor:
    """The derivative of ``hypot(a, b)`` by ``a``, 0 at the origin."""
    y = ops.hypot(a, b)
    return ops.where(ops.equal(y, 0), 0, a / y)


class _Spelt:
    """The stable functions as SymPy functions, which know their derivatives in terms of each other."""

    def __init__(self) -> None:
        sp = _sympy()
        make = self._function
        self.sigmoid = make("sigmoid", lambda x: (self.sigmoid(x) * self.sigmoid(-x),), is_positive=True)
        self.softplus = make("softplus", lambda x: (self.sigmoid(x),), is_positive=True)
        self.log_sigmoid = make("log_sigmoid", lambda x: (self.sigmoid(-x),), is_negative=True)
        self.expm1 = make("expm1", lambda x: (sp.exp(x),))
        self.log1p = make("log1p", lambda x: (1 / (1 + x),))
        self.xlogy = make("xlogy", lambda a, b: (sp.log(b), a / b))
        self.logaddexp = make("logaddexp", lambda a, b: (self.sigmoid(a - b), self.sigmoid(b - a)))
        self.hypot = make("hypot", lambda a, b: (self.leg(a, b), self.leg(b, a)), is_nonnegative=True)
        self.sech = make("sech", lambda x: (-self.sech(x) * sp.tanh(x),), is_positive=True)
        self.sech2 = make("sech2", lambda x: (-2 * self.sech2(x) * sp.tanh(x),), is_positive=True)
        self.bose = make("bose", lambda x: (self.bose(x) * self.bose(-x),))
        self.log_cosh = make("log_cosh", lambda x: (sp.tanh(x),), is_nonnegative=True)
        self.leg = make("leg", lambda a, b: (self.leg(b, a) ** 2 / self.hypot(a, b), -self.leg(a, b) * self.leg(b, a) / self.hypot(a, b)))

    @staticmethod
    def _function(name: str, slopes: Callable[..., tuple[Any, ...]], **known: bool) -> Any:
        sp = _sympy()

        def fdiff(self: Any, argindex: int = 1) -> Any:
            return slopes(*self.args)[argindex - 1]

        body = {"nargs": slopes.__code__.co_argcount, "fdiff": fdiff, "is_extended_real": True, **known}
        return type(sp.Function)(name, (sp.Function,), body | ({"graphc_op": name} if name in OPS else {}))


@functools.cache
def _spelt() -> _Spelt:
    return _Spelt()


def stable(expr: Any) -> Any:
    """The expression with stable spellings: ``log(1 + exp(u))`` becomes ``softplus(u)``. Everything else stays as it is."""
    known: dict[Any, Any] = {}

    def visit(e: Any) -> Any:
        if e not in known:
            known[e] = _respelt(e.func(*map(visit, e.args))) if e.args and e.free_symbols else e
        return known[e]

    return visit(expr)


def _respelt(e: Any) -> Any:
    """The node with its stable spelling, those that come of it included."""
    while True:
        rule = _SPELLINGS.get(type(e).__name__)
        found = rule(e) if rule else None
        if found is None or found == e:
            return e
        e = found


def _spelt_sum(e: Any) -> Any:
    """Differences that cancel: ``exp(u) - 1``, ``1 - tanh(u)**2``, ``1 - u**2``, ``cos(u) - 1``, ``1 - sigmoid(u)``."""
    sp = _sympy()
    terms = e.as_coefficients_dict()
    number = terms.get(sp.S.One, 0)
    for term, factor in terms.items():
        left = e - factor * term
        if number != 0 and term != 1:
            found = _beside_number(term, factor / number)
            if found is None and len(terms) == 2 and factor == -number and term.is_Pow and term.exp == 2:
                found = (1 - term.base) * (1 + term.base)
            if found is not None:
                return sp.Mul(number, found) + (left - number)
        if isinstance(term, sp.exp) and abs(terms.get(sp.exp(-term.args[0]), 0)) == abs(factor) and term.args[0] != 0:
            other = terms[sp.exp(-term.args[0])]
            pair = sp.cosh(term.args[0]) if other == factor else sp.sinh(term.args[0])
            return 2 * factor * pair + (left - other * sp.exp(-term.args[0]))
    return None


def _beside_number(term: Any, factor: Any) -> Any:
    """``1 + factor * term`` without cancellation, or None where it has no other form."""
    sp, f = _sympy(), _spelt()
    u = term.args[0] if term.args else None
    if factor == -1:
        if isinstance(term, sp.exp):
            return -f.expm1(u)
        if isinstance(term, sp.cos):
            return 2 * sp.sin(u / 2) ** 2
        if isinstance(term, f.sigmoid):
            return f.sigmoid(-u)
        if term.is_Pow and term.exp == 2 and isinstance(term.base, sp.tanh):
            return f.sech2(term.base.args[0])
        if term.is_Pow and term.exp == 2 and isinstance(term.base, sp.sin | sp.cos):
            return (sp.cos if isinstance(term.base, sp.sin) else sp.sin)(term.base.args[0]) ** 2
    if factor == -2 and isinstance(term, f.sigmoid):
        return -sp.tanh(u / 2)
    if abs(factor) == 1 and isinstance(term, sp.erf) and "erfc" in OPS:
        return sp.erfc(-factor * u)
    return None


def _spelt_power(e: Any) -> Any:
    """Negative powers of ``1 + exp(u)`` and its like, and roots of sums of squares."""
    sp, f = _sympy(), _spelt()
    base, exponent = e.args
    if not exponent.is_Rational:
        return None
    if base.is_Add and exponent.is_negative:
        u = _one_plus_exp(base)
        if u is not None:
            return f.sigmoid(-u) ** -exponent
    if isinstance(base, f.expm1) and exponent.is_Integer and exponent < 0:
        return f.bose(base.args[0]) ** -exponent
    if isinstance(base, sp.cosh) and exponent.is_Integer and exponent < 0:
        n = -exponent
        return f.sech2(base.args[0]) ** (n // 2) * f.sech(base.args[0]) ** (n % 2)
    if base.is_Add and exponent.q == 2:
        legs = [_square_root(term) for term in base.args]
        if all(leg is not None for leg in legs):
            return functools.reduce(f.hypot, legs) ** (2 * exponent)
    return None


def _one_plus_exp(e: Any) -> Any:
    """``u`` of ``1 + exp(u)``, or None."""
    sp = _sympy()
    exps = [arg for arg in e.args if isinstance(arg, sp.exp)]
    return exps[0].args[0] if len(e.args) == 2 and exps and e.args[0] == 1 else None


def _square_root(term: Any) -> Any:
    """``v`` of ``v**2``, of a positive number too, or None."""
    sp = _sympy()
    factor, square = term.as_coeff_Mul()
    if not factor.is_positive or not (square == 1 or (square.is_Pow and square.exp == 2)):
        return None
    return sp.sqrt(factor) * (1 if square == 1 else square.base)


def _spelt_log(e: Any) -> Any:
    """Logarithms of sums with 1, of sums of exponentials, of ``cosh``."""
    sp, f = _sympy(), _spelt()
    (u,) = e.args
    if isinstance(u, f.sigmoid):
        return f.log_sigmoid(u.args[0])
    factor, rest = u.as_coeff_Mul()
    if isinstance(rest, sp.cosh):
        return f.log_cosh(rest.args[0]) + sp.log(factor) if factor.is_positive else None
    if factor == -1 and isinstance(rest, f.expm1):
        v = rest.args[0]
        return sp.Piecewise((e, v > -sp.log(2)), (f.log1p(-sp.exp(v)), True))  # Mächler, 2012
    if not u.is_Add:
        return None
    exponents = [_exponent(term) for term in u.args]
    if all(v is not None for v in exponents):
        return _log_of_exps(exponents)
    return f.log1p(u - 1) if u.args[0] == 1 else None


def _exponent(term: Any) -> Any:
    """``v`` of ``exp(v)``, positive factors taken in, or None."""
    sp = _sympy()
    factor, rest = term.as_coeff_Mul()
    if not factor.is_positive or not (rest == 1 or isinstance(rest, sp.exp)):
        return None
    return sp.log(factor) + (0 if rest == 1 else rest.args[0])


def _log_of_exps(exponents: Sequence[Any]) -> Any:
    f = _spelt()
    named = [v for v in exponents if v.free_symbols]
    rest = [v for v in exponents if not v.free_symbols]
    if len(named) == 1 and rest == [0]:
        return f.softplus(named[0])
    return functools.reduce(f.logaddexp, [*named, *rest])


def _spelt_product(e: Any) -> Any:
    """Products of which one factor overflows where another underflows, and ``u * log(v)`` where both may be 0."""
    sp, f = _sympy(), _spelt()
    powers = e.as_powers_dict()
    for base, exponent in powers.items():
        if isinstance(base, f.sigmoid | f.bose) and exponent.is_Integer and exponent > 0:
            found = _with_exp(e, base)
            if found is not None:
                return found
        if isinstance(base, f.sigmoid) and powers.get(f.expm1(-base.args[0])) == 1 and exponent == 1:
            return e / base / f.expm1(-base.args[0]) * sp.tanh(-base.args[0] / 2)
        if isinstance(base, f.expm1) and exponent == 1 and powers.get(f.sigmoid(-base.args[0])) == 1:
            return e / base / f.sigmoid(-base.args[0]) * sp.tanh(base.args[0] / 2)
        if isinstance(base, sp.sinh) and exponent.is_positive:
            found = _with_sech(e, base, powers)
            if found is not None:
                return found
    return _spelt_xlogy(e)


def _with_exp(e: Any, base: Any) -> Any:
    """``exp(v) * sigmoid(-v)`` is ``sigmoid(v)``, and ``exp(v) * bose(v)`` is ``-bose(-v)``."""
    sp, f = _sympy(), _spelt()
    sign = 1 if isinstance(base, f.bose) else -1
    v = base.args[0]
    for factor in e.args:
        if isinstance(factor, sp.exp):
            count = sp.cancel(factor.args[0] / (sign * v))
            if count.is_Integer and count > 0:
                return e / factor / base * sp.exp((count - 1) * sign * v) * -sign * base.func(-v)
    return None


def _with_sech(e: Any, base: Any, powers: Mapping[Any, Any]) -> Any:
    """``sinh(u) * sech(u)`` is ``tanh(u)``."""
    sp, f = _sympy(), _spelt()
    u = base.args[0]
    if powers.get(f.sech(u), 0) >= 1:
        return e / base / f.sech(u) * sp.tanh(u)
    if powers.get(f.sech2(u), 0) >= 1:
        return e / base / f.sech2(u) * sp.tanh(u) * f.sech(u)
    return None


def _spelt_xlogy(e: Any) -> Any:
    sp, f = _sympy(), _spelt()
    logs = [factor for factor in e.args if isinstance(factor, sp.log) and not factor.args[0].is_positive]
    if not logs:
        return None
    number, rest = (e / logs[0]).as_coeff_Mul()
    above, below = sp.fraction(rest)
    return number * f.xlogy(above, logs[0].args[0]) / below if above.free_symbols else None


_SPELLINGS: Final[dict[str, Callable[[Any], Any]]] = {
    "Add": _spelt_sum,
    "Pow": _spelt_power,
    "log": _spelt_log,
    "Mul": _spelt_product,
}


# ---------------------------------------------------------------- to SymPy
_FORMS: Final[dict[str, str]] = {
    "equal": "Eq(a, b)",
    "not_equal": "Ne(a, b)",
    "less": "Lt(a, b)",
    "less_equal": "Le(a, b)",
    "greater": "Gt(a, b)",
    "greater_equal": "Ge(a, b)",
    "logical_and": "And(a, b)",
    "logical_or": "Or(a, b)",
    "logical_not": "Not(x)",
    "where": "Piecewise((a, c), (b, True))",
    "clip": "Min(Max(x, low), high)",
    "mod": "a - b * floor(a / b)",
    "floor_divide": "floor(a / b)",
    "trunc": "sign(x) * floor(Abs(x))",
    "stop_gradient": "x",
    "isnan": "false",
    "isinf": "false",
    "isfinite": "true",
}
"""Ops that SymPy has no number or no derivative for, so that their records name no form."""


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
    sp = _sympy()
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
        form = _form_of(node.op)
        if form is not None and not node.op.variadic:
            return _elementwise(form, node.op, xs, node)
        special = _SPECIAL.get(node.op.name)
        if special is not None:
            return special(node, *xs)
        template = template_of(node, "numpy")
        if template is None or (node.op.expand is not None and not node.op.linear):
            return self._expanded(node)
        return _run(node, template, xs)

    def _leaf(self, node: Tensor) -> Any:
        sp = _sympy()
        shape = cast("tuple[int, ...]", node.shape)
        given = self.symbols.get(node, node.label or "")
        if not isinstance(given, str):
            flat = _flat(given) if hasattr(given, "tolist") else list(sp.flatten(given)) if isinstance(given, list | tuple) else [given]
            if len(flat) != node.size:
                raise ShapeError(
                    "to_sympy(expr, symbols): too few or too many symbols", given=[describe(node)], fits=f"{node.size} of them"
                )
            return _objects([sp.sympify(item) for item in flat], shape)
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


def _check_size(node: Tensor) -> None:
    parts = node.type.parts if isinstance(node.type, Bundle) else (node.type,)
    for type in parts:
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
    sp = _sympy()
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
    holes = {name: attribute(value, name, numpy_dtype_source) for name, value in op.keywords(node).items()}
    names = [f"x{i}" for i in range(len(xs))]
    holes |= {op.operands[0]: ", ".join(names)} if op.variadic else dict(zip(op.operands, names, strict=True))
    scope: dict[str, Any] = {"np": np, **dict(zip(names, map(_plain_indices, node.inputs, xs), strict=True))}
    exec(imports([op]) + helpers([op]), scope)
    try:
        result = eval(fill(template.replace("xp.", "np."), holes), scope)
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
    return _exact(array) if array.dtype != object else _objects([_sympy().sympify(item) for item in array.flat], cast("Any", type.shape))


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
        sp = _sympy()
        e = _objects([sp.exp(item) for item in x.flat], x.shape)
        rows, kept = _rows(e, node.attributes["axis"])
        total = np.broadcast_to(_objects([sp.Add(*row) for row in rows], kept), x.shape)
        return _objects([of(a, b) for a, b in zip(x.flat, total.flat, strict=True)], x.shape)

    return rule


def _cast(node: Tensor, x: Any) -> Any:
    sp, before, after = _sympy(), node.inputs[0].dtype, node.dtype
    if before == "bool" and after != "bool":
        return _objects([sp.Piecewise((1, item), (0, True)) for item in x.flat], x.shape)
    if after == "bool" and before != "bool":
        return _objects([sp.Ne(item, 0) for item in x.flat], x.shape)
    if dtypes.is_float(before) and not dtypes.is_float(after):
        return _objects([sp.sign(item) * sp.floor(sp.Abs(item)) for item in x.flat], x.shape)
    return x


def _round(node: Tensor, x: Any) -> Any:
    """Halves go to the even neighbour."""
    sp = _sympy()

    def nearest(u: Any) -> Any:
        up = sp.floor(u + sp.Rational(1, 2))
        tie = sp.Eq(u - sp.floor(u), sp.Rational(1, 2))
        return sp.Piecewise((2 * sp.floor(up / 2), tie), (up, True))

    return _objects([nearest(item) for item in x.flat], x.shape)


def _share(node: Tensor, x: Any, y: Any) -> Any:
    """One over how many elements equal the extremum, at each of them."""
    sp = _sympy()
    y = np.broadcast_to(y, x.shape)
    hits = _objects([sp.Piecewise((1, sp.Eq(a, b)), (0, True)) for a, b in zip(x.flat, y.flat, strict=True)], x.shape)
    rows, kept = _rows(hits, node.attributes["axis"])
    return hits / np.broadcast_to(_objects([sp.Add(*row) for row in rows], kept), x.shape)


def _matrices(of: Callable[..., Any]) -> Callable[..., Any]:
    """A function of SymPy's matrices, along leading axes."""

    def rule(node: Tensor, *xs: Any) -> Any:
        sp = _sympy()
        attributes = node.attributes
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
    "max": _reduction(lambda *xs: _sympy().Max(*xs)),
    "min": _reduction(lambda *xs: _sympy().Min(*xs)),
    "all": _reduction(lambda *xs: _sympy().And(*xs)),
    "any": _reduction(lambda *xs: _sympy().Or(*xs)),
    "prod": _reduction(lambda *xs: _sympy().Mul(*xs)),
    "logsumexp": _reduction(lambda *xs: _sympy().log(_sympy().Add(*map(_sympy().exp, xs)))),
    "softmax": _softmax(lambda x, total: _sympy().exp(x) / total),
    "log_softmax": _softmax(lambda x, total: x - _sympy().log(total)),
    "det": _matrices(lambda a: a.det()),
    "inv": _matrices(lambda a: a.inv()),
    "matrix_power": _matrices(lambda a, n: a**n),
}


# ---------------------------------------------------------------- numbers
def _exact(array: Any) -> Any:
    """A constant's elements as the simplest exact numbers."""
    dtype = dtypes.canonical(array.dtype)
    return _objects([_simplest(item, dtype) for item in array.reshape(-1).tolist()], array.shape)


def _simplest(value: Any, dtype: str) -> Any:
    """The simplest exact number that rounds to this one: a whole number, a short fraction or decimal, a multiple of a constant."""
    sp = _sympy()
    if isinstance(value, bool | int):
        return sp.true if value is True else sp.false if value is False else sp.Integer(value)
    if not math.isfinite(value):
        return sp.nan if math.isnan(value) else sp.oo if value > 0 else -sp.oo
    kind = dtypes.numpy_dtype(dtype).type
    near = Fraction(value).limit_denominator(1000)
    short = Fraction(repr(value) if dtype == "float64" else str(kind(value)))
    for exact in (near, short if len(str(short.numerator)) + len(str(short.denominator)) < 18 else near):
        if kind(float(exact)) == kind(value):
            return sp.Rational(exact.numerator, exact.denominator)
    for known in _constants():
        ratio = Fraction(value / float(known)).limit_denominator(64)
        if ratio and kind(float(sp.Rational(ratio.numerator, ratio.denominator) * known)) == kind(value):
            return sp.Rational(ratio.numerator, ratio.denominator) * known
    return sp.Float(value, 17)


@functools.cache
def _constants() -> tuple[Any, ...]:
    sp = _sympy()
    return (sp.pi, sp.log(2), 1 / sp.log(2), sp.log(10), 1 / sp.log(10), sp.sqrt(2), sp.sqrt(sp.pi), 1 / sp.sqrt(sp.pi), sp.sqrt(2 / sp.pi),
            1 / sp.sqrt(2 * sp.pi), 1 / sp.pi, sp.log(2 * sp.pi), sp.log(sp.pi), sp.sqrt(3), sp.E, sp.EulerGamma)  # fmt: skip


# ---------------------------------------------------------------- ops declared by a formula
_declared: Final[dict[str, tuple[Op, Any]]] = {}
"""The ops that :func:`pointwise` has made, with what they were declared by."""


def pointwise(name: str, expr: Any, *, operands: Sequence[Any] | None = None, title: str = "", tex: str | None = None, **fields: Any) -> Op:
    """Declare a pointwise op by a formula: a SymPy expression in real symbols, which become its operands.

    >>> x = sympy.Symbol("x")
    >>> mish = gc.pointwise("my_mish", x * sympy.tanh(sympy.log(1 + sympy.exp(x))))
    >>> gc.grad(gc.sum(mish(gc.input("t", (3,)))), ...)

    The operands come in the alphabetical order of the symbols' names, or in that of ``operands``. The value and the derivatives are
    graphs, so there are derivatives of every order, formulas, and both backends. Before that the formula gets stable spellings:
    ``log(1 + exp(u))`` is computed as ``softplus(u)``, ``1 / (1 + exp(-u))`` as ``sigmoid(u)``, ``exp(u) - 1`` as ``expm1(u)``,
    ``1 - tanh(u)**2`` without its difference; nothing is simplified. Steps (``floor``, ``sign``, ``Heaviside``) are flat to the gradient.

    Args:
        name: what the op is called in errors, listings and pictures.
        expr: the formula.
        operands: the symbols of the formula, each once.
        title: the op's docstring; by default the formula.
        tex: how LaTeX writes it, with ``$x`` for an operand; by default SymPy's LaTeX.
        fields: further fields of the record: ``domain``, ``kinks``, ``kink_note``, ``text``, ``ulps``...

    A symbol whose name is no identifier in lower case gets one: ``T`` becomes ``t``, and what cannot be so called ``x0``, ``x1``.
    Declaring an op again in the same words gives the same op, so that a notebook's cell may run twice.

    Raises:
        ArgumentError: the name is another op's, or ``operands`` are not the symbols, or ``expr`` is not a formula in symbols.
        GradientError: from the gradient, where SymPy has no derivative.
    """
    declaration = _Declaration.of(name, expr, operands)
    given = (declaration.form, declaration.names, title, tex, tuple([(key, _comparable(value)) for key, value in sorted(fields.items())]))
    if name in OPS:
        made = _declared.get(name)
        if made is not None and OPS[name] is made[0] and made[1] == given:
            return made[0]
        raise ArgumentError(
            f"pointwise({name!r}, expr): there is an op of this name",
            given=[f"that op: {OPS[name].__doc__}", f"expr: {expr}"],
            fits="another name, or the very declaration of that op",
        )
    record = declaration.register(title, tex, fields)
    _declared[name] = record, given
    return record


def _comparable(value: Any) -> Any:
    """A function by what it does, since a cell that runs again makes a new one."""
    code = getattr(value, "__code__", None)
    return repr(value) if code is None else (code.co_code, code.co_consts, code.co_names)


class _Declaration:
    """A formula with its operands; derivatives are taken when they are asked for, once each."""

    def __init__(self, name: str, form: Any, symbols: Sequence[Any]) -> None:
        self.name, self.form, self.symbols = name, form, tuple(symbols)
        self.names = tuple([symbol.name for symbol in symbols])
        self.slopes: dict[int, Any] = {}

    @staticmethod
    def of(name: str, expr: Any, operands: Sequence[Any] | None) -> _Declaration:
        """The formula in real symbols that are called like the operands."""
        sp = _sympy()
        call = f"pointwise({name!r}, expr)"
        if not (name.isidentifier() and name.isascii()):
            raise ArgumentError(f"{call}: an op cannot be called so", given=[f"name: {name!r}"], fits="an identifier")
        expr = sp.sympify(expr)
        free = expr.free_symbols if isinstance(expr, sp.Expr) and not expr.is_Matrix else set()
        if not free or not all(isinstance(symbol, sp.Symbol) for symbol in free) or expr.has(sp.Indexed):
            raise ArgumentError(f"{call}: no formula in symbols", given=[f"expr: {expr}"], fits="a SymPy expression such as x * exp(-x)")
        symbols = sorted(free, key=lambda symbol: symbol.name) if operands is None else list(operands)
        if set(symbols) != free or len(symbols) != len(free):
            raise ArgumentError(
                f"{call}: operands are not the formula's symbols",
                given=[f"operands: {', '.join(map(str, symbols))}", f"symbols: {', '.join(sorted(map(str, free)))}"],
                fits="each symbol of the formula once",
            )
        real = [sp.Symbol(text, real=True) for text in _operand_names([symbol.name for symbol in symbols])]
        return _Declaration(name, expr.xreplace(dict(zip(symbols, real, strict=True))), real)

    def register(self, title: str, tex: str | None, fields: Mapping[str, Any]) -> Op:
        """The op's record."""
        rule = _type_rule(self.names)
        rule.__doc__ = title or f"``{self.form}``, declared by this formula."
        defaults = {
            "group": "pointwise",
            "domain": ((-3.0, 3.0),) * len(self.names),
            "flops": int(_sympy().count_ops(self.form)),
            "binds": 1 if tex is None else 0,
            "tex": self.tex() if tex is None else self.checked(tex),
        }
        record = register(
            self.name,
            rule,
            pointwise=True,
            partials=tuple([functools.partial(self.slope, i) for i in range(len(self.names))]),
            promote=self.names,
            compute=dtypes.floating,
            sympy=str(self.form),
            **(defaults | fields),
        )
        record.expand = self.value
        return record

    @functools.cached_property
    def spelt(self) -> Any:
        """The formula as it is computed."""
        sp = _sympy()
        whole = self.form.replace(sp.Mod, lambda a, b: a - b * sp.floor(a / b)).replace(sp.frac, lambda a: a - sp.floor(a))
        return stable(whole)

    def value(self, *xs: Tensor) -> Tensor:
        """The formula as a graph."""
        return self._graph(self.spelt, xs)

    def slope(self, index: int, y: Tensor, *xs: Tensor) -> Tensor | int:
        """The partial derivative by one operand, as a graph."""
        if index not in self.slopes:
            self.slopes[index] = stable(self._without_steps(_sympy().diff(self.spelt, self.symbols[index])))
        form = self.slopes[index]
        return int(form) if form in (-1, 0, 1) else self._graph(form, xs)

    def _graph(self, form: Any, xs: Sequence[Tensor]) -> Tensor:
        lower = _Lowering(dict(zip(self.symbols, xs, strict=True)))
        found = as_dtype(lower(form), xs[0].dtype)
        shape = sizes.broadcast([x.shape for x in xs])
        return found if found.shape == shape or not found.shape and isinstance(found, Constant) else ops.broadcast_to(found, shape=shape)

    def _without_steps(self, slope: Any) -> Any:
        """A derivative without those of steps, which are 0 wherever they exist."""
        sp = _sympy()
        slope = slope.replace(sp.DiracDelta, lambda *args: sp.S.Zero)
        flat = sp.floor | sp.ceiling | sp.sign | sp.Heaviside
        for part in slope.atoms(sp.Subs) | slope.atoms(sp.Derivative):
            inner = part.expr if isinstance(part, sp.Subs) else part
            if isinstance(inner, sp.Derivative) and isinstance(inner.expr, flat):
                slope = slope.xreplace({part: sp.S.Zero})
        if slope.has(sp.Derivative):
            raise GradientError(
                f"{self.name}: SymPy has no derivative for the formula",
                given=[f"formula: {self.form}", f"derivative: {slope}"],
                fits="functions that SymPy differentiates",
            )
        return slope

    def tex(self) -> str:
        """SymPy's LaTeX with holes for the operands; sums and products in parentheses, since it stands for one piece."""
        sp = _sympy()
        text = sp.latex(self.form, symbol_names={symbol: f"${symbol.name}" for symbol in self.symbols})
        return rf"\left({text}\right)" if (self.form.is_Add or self.form.is_Mul) and not text.startswith(r"\frac") else text

    def checked(self, tex: str) -> str:
        """A template that has a hole for each operand."""
        missing = [name for name in self.names if f"${name}" not in tex]
        if missing:
            raise ArgumentError(
                f"pointwise({self.name!r}, expr, tex=): the template leaves an operand out",
                given=[f"tex: {tex}"],
                fits=f"${missing[0]} in it",
            )
        return tex


def _operand_names(names: Sequence[str]) -> list[str]:
    """A parameter's name for each symbol: its own in lower case, if that will do."""
    found: list[str] = []
    for i, name in enumerate(names):
        own = name.lower()
        fits = re.fullmatch(r"[a-z]\w*", own, re.ASCII) and not keyword.iskeyword(own) and own not in found
        found.append(own if fits else f"x{i}")
    return found


def _type_rule(names: Sequence[str]) -> Any:
    """A type rule whose parameters have these names, which are identifiers."""

    def broadcast(*types: TensorType) -> TensorType:
        return types[0].with_shape(sizes.broadcast([type.shape for type in types]))

    parameters = ", ".join(names)
    rule = eval(f"lambda {parameters}: broadcast({parameters})", {"broadcast": broadcast})
    rule.__annotations__ = dict.fromkeys(names, TensorType)
    return rule
