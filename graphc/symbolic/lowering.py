"""SymPy expressions as graphs: one rule a kind of SymPy node."""

# SymPy has no types that a checker could use, so everything that is SymPy's is Any.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from graphc import ops
from graphc.core import (
    OPS,
    Op,
    Tensor,
    as_tensor,
    constant,
    describe,
    dtypes,
    sizes,
)
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.op import as_dtype, common_dtype
from graphc.symbolic.common import DECLARED, LIMIT, flat, form_of, sympy


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
    lower = Lowering(values)
    return lower.tensor(lower(sympy().sympify(expr)))


class Lowering:
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
        sp = sympy()
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
        if name is None and str(type(e).__module__).startswith("sympy.codegen"):
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
        entries = [self(entry) for entry in flat(e)]
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
    sp = sympy()
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


def _functions() -> dict[str, list[tuple[Op, Any]]]:
    """For each SymPy function, the ops whose whole form is a call of it."""
    sp = sympy()
    found: dict[str, list[tuple[Op, Any]]] = {}
    for op in OPS.values():
        form: Any = form_of(op) if op.sympy and op.name not in DECLARED else None
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


def _add(lower: Lowering, e: Any) -> Any:
    terms = list(e.as_ordered_terms())
    first = next((i for i, term in enumerate(terms) if not _is_negative(term)), 0)
    total = lower(terms.pop(first))
    for term in terms:
        total = total - lower(-term) if _is_negative(term) else total + lower(term)
    return total


def _is_negative(term: Any) -> bool:
    return bool(term.as_coeff_Mul()[0].is_negative)


def _mul(lower: Lowering, e: Any) -> Any:
    sp = sympy()
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


def _product(lower: Lowering, factors: Sequence[Any]) -> Any:
    return functools.reduce(lambda a, b: a * b, map(lower, factors)) if factors else None


def _scaled(lower: Lowering, number: Any, value: Any) -> Any:
    if number == 1:
        return value
    if number == -1:
        return -value
    return value / int(number.q) if number.is_Rational and number.p == 1 and number.q < 2**53 else lower(number) * value


def _pow(lower: Lowering, e: Any) -> Any:
    base, exponent = e.args
    if exponent.is_Rational and exponent.is_negative:
        return _reciprocal(lower, base, -exponent)
    root = _POWERS.get(str(exponent))
    if root is not None:
        return lower.call(root, [base])
    return lower.call(ops.exp2, [exponent]) if base == 2 else lower.call(ops.power, [base, exponent])


def _reciprocal(lower: Lowering, base: Any, exponent: Any) -> Any:
    if str(exponent) == "1/2":
        return lower.call(ops.rsqrt, [base])
    return ops.reciprocal(lower.tensor(lower(base if exponent == 1 else base**exponent)))


_POWERS: Final[dict[str, Op]] = {"2": ops.square, "1/2": ops.sqrt, "1/3": ops.cbrt}


def _logical(op: Op) -> Callable[[Lowering, Any], Any]:
    return lambda lower, e: functools.reduce(op, [lower.tensor(lower(arg)) for arg in e.args])


def _joined(op: Op) -> Callable[[Lowering, Any], Any]:
    """An op of two operands for a SymPy node of many."""
    return lambda lower, e: functools.reduce(op, map(lower, e.args))


def _piecewise(lower: Lowering, e: Any) -> Any:
    value: Any = math.nan
    for branch, condition in reversed(e.args):
        value = lower.choice(lower(condition), lower(branch), value)
    return value


def _step(lower: Lowering, e: Any) -> Any:
    x, middle = lower(e.args[0]), e.args[1]
    if middle == sympy().Rational(1, 2):
        return 0.5 * (1 + ops.sign(lower.tensor(x)))
    return lower.choice(x > 0, 1, lower.choice(ops.equal(x, 0), lower(middle), 0))


def _delta(lower: Lowering, e: Any) -> Any:
    raise ArgumentError("from_sympy(expr, values): DiracDelta is a distribution", given=[f"expr: {e}"], fits="functions")


def _unrolled(join: Callable[[Any, Any], Any]) -> Callable[[Lowering, Any], Any]:
    def rule(lower: Lowering, e: Any) -> Any:
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


def _indexed(lower: Lowering, e: Any) -> Any:
    return _element(lower, e, lower(e.base), e.indices)


def _element(lower: Lowering, e: Any, x: Any, indices: Sequence[Any], before: tuple[Any, ...] = ()) -> Any:
    if not all(index.is_Integer for index in indices):
        raise ArgumentError(
            f"from_sympy(expr, values): the indices of {e} are not numbers",
            given=[f"indices: {', '.join(map(str, indices))}"],
            fits="whole numbers; gc.take reads at a tensor of indices",
        )
    return x[(*before, *map(int, indices))]


# ---------------------------------------------------------------- matrices
def _matrix_product(lower: Lowering, e: Any) -> Any:
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


def _matrix_power(lower: Lowering, e: Any) -> Any:
    if not e.exp.is_Integer:
        raise ArgumentError("from_sympy(expr, values): a power of a matrix", given=[f"expr: {e}"], fits="a whole exponent")
    return ops.linalg.matrix_power(lower(e.base), int(e.exp))


def _sized(make: Callable[[int, int], Any]) -> Callable[[Lowering, Any], Any]:
    """A constant matrix, whose sizes have to be numbers."""

    def rule(lower: Lowering, e: Any) -> Any:
        if not all(size.is_Integer for size in e.shape):
            raise ArgumentError(f"from_sympy(expr, values): {e} has no size", given=[f"shape: {e.shape}"], fits="whole numbers")
        return constant(make(*map(int, e.shape)), lower.dtype([0.0]))

    return rule


def _transposed(lower: Lowering, e: Any) -> Any:
    x = lower(e.arg)
    return ops.transpose(x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


_RULES: Final[dict[str, Callable[[Lowering, Any], Any]]] = {
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
