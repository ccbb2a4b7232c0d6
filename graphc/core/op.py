"""The op record: everything that graphc knows of one operation, declared once.

A type rule is a function from types to a type. ``@op(...)`` above it makes the record: the rule's name, docstring and
parameters become the op's (those annotated ``TensorType`` are operands, the others attributes). All the rest of graphc, and the
tests, read the record.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import numpy as np

from graphc.core import dtypes
from graphc.core.dtypes import DType
from graphc.core.errors import ArgumentError, DeclarationError, DTypeError, GraphcError, SignatureError, near, trimmed
from graphc.core.expr import OPS, Tensor, constant, describe, intern
from graphc.core.pattern import Pattern
from graphc.core.record import Record
from graphc.core.sizes import Dim
from graphc.core.subgraph import Subgraph
from graphc.core.types import Bundle, TensorType

Partial: TypeAlias = Callable[..., Any] | int | None
"""A partial derivative ``d(y, *operands, **attributes)``; a number when it is that everywhere; None: not differentiable."""


Canonical: TypeAlias = Callable[[Any, tuple[TensorType, ...]], Any]
"""Brings an attribute's many spellings to one, given the operands' types."""


_NOTHING: Final[Mapping[str, Any]] = {}


class Case(Record):
    """One small legal call, for the tests: the shapes of the inputs, the attributes, and what the inputs have to go through.

    ``through`` makes the operands from the inputs, where not every tensor is legal: ``lambda a: a @ a.T`` for an op that wants a
    positive definite matrix. ``seen`` is what a test may look at, where the result is not unique: ``lambda w, v: [w, abs(v)]``.
    """

    shapes: tuple[tuple[int, ...], ...]
    attributes: Mapping[str, Any] = _NOTHING
    integers: Mapping[str, int] = _NOTHING
    """Operands that hold indices, and the number that they stay below."""
    through: Callable[..., Any] | None = None
    seen: Callable[..., Any] | None = None


def case(
    *shapes: tuple[int, ...],
    integers: Mapping[str, int] | None = None,
    through: Callable[..., Any] | None = None,
    seen: Callable[..., Any] | None = None,
    **attributes: Any,
) -> Case:
    """A :class:`Case`, as an op's declaration writes it."""
    return Case(shapes, attributes, integers or {}, through, seen)


class Op:
    """One operation. Calling it builds a node; the fields say the rest.

    An op whose type rule returns several types has several results: calling it gives a tuple of tensors, its template and its
    decomposition give a tuple, and its VJP gets tuples for ``g`` and ``y``.

    ========== ======================================================================================================
    emit       the source of the call, for both backends: ``xp`` is the namespace, ``$x`` an operand or attribute
    jax        the source for JAX where it differs
    out        the statement that writes into a buffer ``$out``, where NumPy has one
    view       the result may share the operand's memory
    pointwise  element by element, with broadcasting; ``partials`` are its derivatives
    linear     the operands in which the op is linear
    promote    the operands that are brought to one dtype; ``compute`` says to which, given what they meet in
    inplace    the operands whose buffer the result may take; all of them unless it says otherwise, for pointwise ops
    scratch    bytes that a call on NumPy allocates beside operands and result: a function of the node, for the prediction of the peak
    raises     a call may fail for the values that it gets: an index out of bounds
    bounds     the indices that a node reads, a number or an operand each, with the size of the axis that they have to be in
    imports    an import that the NumPy source needs, such as ``from scipy import special``
    helper     a NumPy function that the emitted source needs beside it, as source; ``jax_helper`` one for JAX
    domain     the interval, an operand, in which it is defined and smooth enough to be tested
    kinks      a condition on the operands under which the derivative is a choice, and ``kink_note`` says which
    choice     the same of an op with a VJP: ``choice(y, *operands, **attributes)`` gives for each operand where its share is a choice,
               in a bool tensor that broadcasts to it, or None
    laws       algebraic facts: ``commutative``, ``associative``, ``involution``, ``idempotent``, ``("unit", 1)``...
    flops      floating-point operations: a number an element of the result, or a function of the node
    text, tex  how formulas write it; ``binds`` is the precedence, 0 for what needs no parentheses
    sympy      a SymPy expression in the operands' names, where one exists
    cases      small legal calls for the tests
    prune      of several results, drops those that nobody reads: ``prune(node, places that are read)`` gives the new node and the
               places of the results that it kept, or None
    ulps       what the tests allow between float32 and float64, in units in the last place
    precision  its class under ``gc.mixed_precision``; what follows from the other fields need not be said: ``graphc.precision``
    ========== ======================================================================================================
    """

    name: str
    rule: Callable[..., TensorType | tuple[TensorType, ...]]
    operands: tuple[str, ...]
    variadic: bool
    attributes: tuple[str, ...]
    defaults: dict[str, Any]
    emit: str | Callable[..., str] | None = None
    jax: str | Callable[..., str] | None = None
    out: str | Callable[..., str | None] | None = None
    view: bool = False
    pointwise: bool = False
    partials: tuple[Partial, ...] = ()
    linear: tuple[str, ...] = ()
    promote: tuple[str, ...] = ()
    compute: Callable[[DType], DType] | None = None
    inplace: tuple[str, ...] | None = None
    scratch: Callable[[Tensor], Dim] | None = None
    raises: bool = False
    bounds: Callable[[Tensor], Sequence[tuple[Tensor | int, Dim]]] | None = None
    imports: str = ""
    helper: str = ""
    jax_helper: str = ""
    domain: tuple[tuple[float, float], ...] = ()
    kinks: Callable[..., Any] | None = None
    choice: Callable[..., tuple[Any, ...]] | None = None
    kink_note: str = ""
    laws: tuple[Any, ...] = ()
    flops: int | Callable[[Tensor], Dim] = 1
    text: str = ""
    tex: str = ""
    binds: int = 0
    sympy: str | None = None
    cases: tuple[Case, ...] = ()
    ulps: float = 4
    precision: str = ""
    group: str = ""
    reverse: Callable[..., tuple[Any, ...]] | None = None
    forward: Callable[..., Any] | None = None
    batch: Callable[..., Any] | None = None
    expand: Callable[..., Any] | None = None
    prune: Callable[[Tensor, set[int]], tuple[Tensor, list[int]] | None] | None = None
    zero_gradient: str = ""

    def __init__(
        self,
        name: str,
        rule: Callable[..., TensorType | tuple[TensorType, ...]],
        operands: tuple[str, ...],
        variadic: bool,
        attributes: tuple[str, ...],
        defaults: dict[str, Any],
        **fields: Any,
    ) -> None:
        self.name, self.rule, self.operands, self.variadic = name, rule, operands, variadic
        self.attributes, self.defaults = attributes, defaults
        self._types: Final[dict[Any, TensorType]] = {}
        unknown = fields.keys() - Op.__annotations__.keys()
        if unknown:
            name = min(unknown)
            raise DeclarationError(f"an op has no field {name!r}{near(name, Op.__annotations__)}", fits=", ".join(Op.__annotations__))
        self.__dict__.update(fields)

    def __reduce__(self) -> tuple[Any, ...]:
        return _op_of_name, (self.name,)  # of a process that has declared it too

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self.rule.__doc__

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.rule)

    @functools.cached_property
    def canonical(self) -> dict[str, Canonical]:
        """What brings each attribute to its canonical form, ``canonical(value, operand types)``, as its annotation says."""
        hints = inspect.get_annotations(self.rule, eval_str=True)
        return {name: _canonicaliser(hints.get(name)) for name in self.attributes}

    def vjp(self, rule: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
        """Attach the vector-Jacobian product ``rule(g, y, *operands, **attributes)``: a cotangent (or None) an operand."""
        self._check_parameters(rule, ("g", "y"))
        self.reverse = rule
        return rule

    def jvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Attach the Jacobian-vector product ``rule(t, y, *operands, **attributes)``: the tangent of the result (a tuple of several).

        ``t`` has a tangent, or None, for each operand. Without it the transpose of the VJP serves.
        """
        self._check_parameters(rule, ("t", "y"))
        self.forward = rule
        return rule

    def vmap(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Attach the op on stacks, ``rule(mapped, *operands, **attributes)``: the results stacked along a first axis of their own.

        ``mapped`` says of each operand whether it has such an axis. Pointwise ops and those that decompose need no rule.
        """
        self._check_parameters(rule, ("mapped",))
        self.batch = rule
        return rule

    def decompose(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Attach the same value in simpler ops, ``rule(*operands, **attributes)``, for targets that have no form of their own."""
        self._check_parameters(rule, ())
        self.expand = rule
        return rule

    def _check_parameters(self, rule: Callable[..., Any], leading: tuple[str, ...]) -> None:
        given = parameters_of(rule)
        wanted = (*leading, *self.operands, *self.attributes)
        if given != wanted:
            asked = f"a rule of {self.name} takes ({', '.join(wanted)}), this one takes ({', '.join(given)})"
            raise DeclarationError(asked, fits="parameters of these names, in this order")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The node of this operation. Raises a :class:`GraphcError` that describes the call when it does not fit."""
        if len(args) == len(self.operands) and not self.variadic and (not kwargs or self._takes.issuperset(kwargs)):
            operands, attributes = args, kwargs
        else:
            try:
                operands, attributes = self._split(args, kwargs)
            except GraphcError as error:
                __tracebackhide__ = True  # pytest and IPython leave this frame out
                raise trimmed(error) from None
        for x in operands:
            if isinstance(x, Pattern):
                return Pattern(self, operands, attributes)
        try:
            inputs = self._coerce(operands)
            node = self.apply(inputs, self._canonical(attributes, inputs) if self.attributes else ())
        except GraphcError as error:
            __tracebackhide__ = True
            if error.given:
                raise trimmed(error) from error.__cause__
            raise self._explained(error, operands) from None
        return parts(node) if isinstance(node.type, Bundle) else node

    def apply(self, inputs: tuple[Tensor, ...], attrs: tuple[Any, ...], like: Tensor | None = None) -> Tensor:
        """The node on inputs of fitting dtypes with canonical attributes, as rewrites rebuild it; one node for several results.

        It carries the line of ``like``, if that is given, as with :class:`~graphc.core.origin.derived_from`.
        """
        key = (attrs, *[x.type for x in inputs])
        type = self._types.get(key)
        if type is None:
            found = self.rule(*key[1:], **dict(zip(self.attributes, attrs, strict=True)))
            type = found if isinstance(found, TensorType) else Bundle(found)
            if not any(isinstance(value, Subgraph) for value in attrs):  # a table may not keep whole graphs alive
                self._types[key] = type
        return intern(self, inputs, attrs, type, like)

    def remade(self, inputs: tuple[Tensor, ...], attrs: tuple[Any, ...]) -> Tensor:
        """The node of inputs and attributes that come from a file; one node for several results.

        Raises a :class:`GraphcError` unless a call could have made it: as many operands, of fitting dtypes, and canonical attributes.
        """
        if len(attrs) != len(self.attributes) or (len(inputs) != len(self.operands) and not self.variadic):
            raise ArgumentError(f"{self.name} of {len(inputs)} operands and {len(attrs)} attributes", fits=", ".join(self.operands))
        fitting = self._coerce(inputs)
        return self.apply(fitting, self._canonical(dict(zip(self.attributes, attrs, strict=True)), fitting))

    def _split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        operands, attributes = self._bind(args, kwargs)
        return (tuple(operands[0]) if self.variadic else operands), attributes

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        names = (*self.operands, *self.attributes)
        if len(args) > len(names):
            raise self._refused(f"takes {len(names)} arguments, {len(args)} were given")
        bound = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in names:
                raise self._misspelt(name, names)
            if name in bound:
                raise self._refused(f"{name} is given twice")
            bound[name] = value
        missing = [name for name in self.operands if name not in bound]
        if missing:
            raise self._refused(f"needs {missing[0]}")
        return tuple([bound.pop(name) for name in self.operands]), bound

    def _refused(self, what: str) -> SignatureError:
        call = f"{self.name}({', '.join((*self.operands, *self.attributes))})"
        return SignatureError(f"{call}: {what}", fits=", ".join([*self.operands, *self.attributes]) or "no argument")

    def _misspelt(self, name: str, names: Iterable[str]) -> ArgumentError:
        return ArgumentError(f"{self.name} has no argument {name!r}{near(name, names)}", fits=", ".join(names))

    @functools.cached_property
    def _takes(self) -> frozenset[str]:
        return frozenset(self.attributes)

    @functools.cached_property
    def _promotes_all(self) -> bool:
        return self.variadic or all(self._promoted)

    @functools.cached_property
    def _promoted(self) -> tuple[bool, ...]:
        """Of each operand whether it is brought to the dtype of the others."""
        return tuple([name in self.promote for name in self.operands])

    def _canonical(self, given: Mapping[str, Any], inputs: tuple[Tensor, ...]) -> tuple[Any, ...]:
        types = tuple([x.type for x in inputs])
        values: list[Any] = []
        for name, canonical in self.canonical.items():
            if name not in given and name not in self.defaults:
                raise self._refused(f"needs {name}=")
            values.append(canonical(given[name] if name in given else self.defaults[name], types))
        return tuple(values)

    def _coerce(self, operands: tuple[Any, ...]) -> tuple[Tensor, ...]:
        if not self.promote:
            return tuple([x if isinstance(x, Tensor) else _lift(x) for x in operands])
        if self._promotes_all:
            dtype = self._meeting(operands)
            return tuple([x if isinstance(x, Tensor) and x.type.dtype == dtype else as_dtype(x, dtype) for x in operands])
        dtype = self._meeting([x for x, promoted in zip(operands, self._promoted, strict=True) if promoted])
        return tuple([as_dtype(x, dtype) if promoted else as_tensor(x) for x, promoted in zip(operands, self._promoted, strict=True)])

    def _meeting(self, together: Iterable[Any]) -> DType:
        """The dtype to which these operands are brought."""
        dtype = common_dtype(together)
        return self.compute(dtype) if self.compute else dtype

    def _explained(self, error: GraphcError, operands: tuple[Any, ...]) -> GraphcError:
        names = [f"{self.operands[0]}[{i}]" for i in range(len(operands))] if self.variadic else self.operands
        given = [f"{n}: {describe(x) if isinstance(x, Tensor) else repr(x)}" for n, x in zip(names, operands, strict=False)]
        return type(error)(f"{self.name}({', '.join(names)}): {error.asked}", given=given, fits=error.fits)

    def keywords(self, node: Tensor) -> dict[str, Any]:
        """The attributes of a node of this op by name."""
        return dict(zip(self.attributes, node.attrs, strict=True))

    def count_flops(self, node: Tensor) -> Dim:
        """Floating-point operations of this node, as a formula of the named sizes."""
        return self.flops(node) if callable(self.flops) else _each(node.type, self.flops)


@functools.cache
def _each(type: TensorType, count: int) -> Dim:
    """So many for each element; polynomials are slow, and types few."""
    return type.size * count


def _op_of_name(name: str) -> Op:
    return OPS[name]


def parts(node: Tensor) -> tuple[Tensor, ...]:
    """The results of a node that has several."""
    assert isinstance(node.type, Bundle)
    return tuple([OPS["part"].apply((node,), (i,)) for i in range(len(node.type.parts))])


def as_tensor(value: Any) -> Tensor:
    """The value as a node: a tensor itself, an array as a constant, a literal as a constant of its default dtype."""
    return value if isinstance(value, Tensor) else _lift(value)


def _lift(value: Any) -> Tensor:
    dtype = common_dtype((value,))
    return as_dtype(value, dtype)


def common_dtype(values: Iterable[Any]) -> DType:
    """The dtype in which these meet: tensors and arrays by NumPy's table, literals weakly, as in NumPy 2."""
    dtype: DType | None = None
    literals: list[bool | int | float | complex] = []
    for value in values:
        if isinstance(value, Tensor):
            own = value.type.dtype
        elif isinstance(value, np.ndarray | np.generic):
            own = dtypes.canonical(cast("Any", value).dtype)
        else:
            literals.append(_kind(value))
            continue
        dtype = own if dtype is None or dtype == own else dtypes.promote(dtype, own)
    if dtype is None:
        dtype = _default(literals)
    for literal in literals:
        dtype = dtypes.weak(literal, dtype)
    return dtype


def _kind(value: Any) -> bool | int | float | complex:
    if isinstance(value, bool | int | float | complex):
        return value
    try:
        kind = np.asarray(value).dtype.kind
    except ValueError:
        kind = "?"
    kinds: dict[str, bool | int | float | complex] = {"b": False, "i": 0, "u": 0, "f": 0.0, "c": 0j}
    if kind not in kinds:
        raise DTypeError(f"{value!r} is not a tensor", fits="a tensor, an array of numbers, a number, or nested lists of numbers")
    return kinds[kind]


def _default(literals: list[bool | int | float | complex]) -> DType:
    if any(isinstance(x, complex) for x in literals):
        return "complex64"
    if any(isinstance(x, float) for x in literals):
        return "float32"
    return "bool" if all(isinstance(x, bool) for x in literals) else "int64"


def as_dtype(value: Any, dtype: DType) -> Tensor:
    """The value as a node of this dtype, by a cast that the graph shows where it is a tensor of another one."""
    if isinstance(value, Tensor):
        return value if value.type.dtype == dtype else OPS["cast"](value, dtype=dtype)
    try:
        return constant(value, dtype)
    except OverflowError:
        raise DTypeError(f"{value!r} does not fit into {dtype}", fits=f"a number that {dtype} holds") from None


def parameters_of(rule: Any) -> tuple[str, ...]:
    """The names of a function's parameters in order. ``inspect.signature`` takes ten times as long, and a start reads 300 rules."""
    code = rule.__code__
    names, count = code.co_varnames, code.co_argcount + code.co_kwonlyargcount
    starred = names[count : count + 1] if code.co_flags & inspect.CO_VARARGS else ()
    return (*names[: code.co_argcount], *starred, *names[code.co_argcount : count])


def _is_type(annotation: Any) -> bool:
    """Whether a parameter is an operand; annotations are text where the module postpones them."""
    return annotation is TensorType or (isinstance(annotation, str) and annotation.rpartition(".")[2] == "TensorType")


def _as_is(value: Any, types: tuple[TensorType, ...]) -> Any:
    return value


_PLAIN: dict[Any, Canonical] = {
    bool: lambda value, types: bool(value),
    int: lambda value, types: operator.index(value),
    float: lambda value, types: float(value),
}


def _canonicaliser(hint: Any) -> Canonical:
    metadata = getattr(hint, "__metadata__", ())
    return metadata[0] if metadata else _PLAIN.get(hint, _as_is)


def op(emit: str | Callable[..., str] | None = None, *, name: str = "", **fields: Any) -> Callable[[Callable[..., Any]], Op]:
    """Declare the type rule below as an operation; the fields are those of :class:`Op`."""

    def declare(rule: Callable[..., Any]) -> Op:
        return register(name or rule.__name__, rule, emit=emit, **fields)

    return declare


def register(name: str, rule: Callable[..., Any], **fields: Any) -> Op:
    """Make the record of an operation and enter it into the table. A name stands for one op."""
    operands = tuple([p for p in parameters_of(rule) if _is_type(rule.__annotations__.get(p))])
    attributes = tuple([p for p in parameters_of(rule) if p not in operands])
    variadic = bool(rule.__code__.co_flags & inspect.CO_VARARGS)
    record = Op(name, rule, operands, variadic, attributes, dict(rule.__kwdefaults__ or {}), **fields)
    if record.choice is not None:
        record._check_parameters(record.choice, ("y",))  # pyright: ignore[reportPrivateUsage]
    record.text = record.text or f"{name}({', '.join('$' + x for x in operands)})"
    record.tex = record.tex or _tex_call(name, operands)
    record.group = record.group or rule.__module__.rpartition(".")[2]
    if name in OPS:
        raise DeclarationError(f"there is an op {name!r} already", fits="a name that no op has")
    OPS[name] = record
    return record


def _tex_call(name: str, operands: tuple[str, ...]) -> str:
    function = r"\operatorname{" + name.replace("_", r"\_") + "}"
    return f"{function}({', '.join('$' + x for x in operands)})"


def table() -> Iterator[Op]:
    """Every op in the order of declaration."""
    return iter(OPS.values())
