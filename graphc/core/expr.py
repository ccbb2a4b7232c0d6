"""Tensors: the nodes of a graph. They are immutable, and building the same expression twice gives the same object."""

from __future__ import annotations

import os
from _thread import allocate_lock  # of threading, which takes a millisecond to import
from collections.abc import Callable, Iterator
from math import copysign
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from weakref import _remove_dead_weakref, ref  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType, reportAttributeAccessIssue]

import numpy as np

from graphc.core import dtypes, origin
from graphc.core.dtypes import DType
from graphc.core.errors import ArgumentError, GraphcError, UnknownSizeError, called, entries, entry, trimmed
from graphc.core.origin import Origin
from graphc.core.sizes import Dim, Shape
from graphc.core.types import TensorType

if TYPE_CHECKING:
    from graphc.core.op import Op

OPS: Final[dict[str, Op]] = {}
"""Every operation by its name. The modules of ``graphc.ops`` fill it as they are imported."""
METHODS: Final[dict[str, Callable[..., Any]]] = {}
"""What a method of a tensor does that takes several operations. The modules of ``graphc.ops`` fill it too."""

SHOWN: Final[dict[str, Callable[[Tensor], Any]]] = {}
"""How a tensor shows itself by a protocol: ``text`` (``print``), ``latex``, ``html``, ``rich``. The package has it from what draws."""

TensorLike: TypeAlias = "Tensor | np.ndarray[Any, Any] | np.generic | bool | int | float | list[Any] | tuple[Any, ...]"
"""What an operation takes for a tensor: literals are weakly typed, arrays become constants."""


def _operator(name: str) -> Callable[[Any, Any], Any]:
    """The operator that is this op. An error that leaves it has this frame of graphc and no other."""

    def apply(self: Any, other: Any) -> Any:
        try:
            return OPS[name](self, other)
        except GraphcError as error:
            __tracebackhide__ = True
            raise trimmed(error) from error.__cause__

    return called(name, apply)


def _reflected(name: str) -> Callable[[Any, Any], Any]:
    """The same with the operands the other way round."""

    def apply(self: Any, other: Any) -> Any:
        try:
            return OPS[name](other, self)
        except GraphcError as error:
            __tracebackhide__ = True
            raise trimmed(error) from error.__cause__

    return called(name, apply)


def _unary(name: str) -> Callable[[Any], Any]:
    """The operator of one operand that is this op."""

    def apply(self: Any) -> Any:
        try:
            return OPS[name](self)
        except GraphcError as error:
            __tracebackhide__ = True
            raise trimmed(error) from error.__cause__

    return called(name, apply)


class Operators:
    """Python's operators, each of them the operation of that name. Tensors and rewrite patterns share them."""

    __slots__ = ()
    __array_ufunc__ = None  # so that ``array * tensor`` comes to __rmul__ and not to NumPy

    __add__, __radd__ = _operator("add"), _reflected("add")
    __sub__, __rsub__ = _operator("subtract"), _reflected("subtract")
    __mul__, __rmul__ = _operator("multiply"), _reflected("multiply")
    __truediv__, __rtruediv__ = _operator("divide"), _reflected("divide")
    __floordiv__, __rfloordiv__ = _operator("floor_divide"), _reflected("floor_divide")
    __mod__, __rmod__ = _operator("mod"), _reflected("mod")
    __pow__, __rpow__ = _operator("power"), _reflected("power")
    __matmul__, __rmatmul__ = _operator("matmul"), _reflected("matmul")
    __lshift__, __rlshift__ = _operator("left_shift"), _reflected("left_shift")
    __rshift__, __rrshift__ = _operator("right_shift"), _reflected("right_shift")
    __lt__, __le__ = _operator("less"), _operator("less_equal")
    __gt__, __ge__ = _operator("greater"), _operator("greater_equal")
    __neg__, __abs__ = _unary("negative"), _unary("abs")

    def __pos__(self) -> Any:
        return self

    @entry
    def __invert__(self) -> Any:
        return OPS[_bits("not", self)](self)

    @entry
    def __and__(self, other: Any) -> Any:
        return OPS[_bits("and", self, other)](self, other)

    @entry
    def __rand__(self, other: Any) -> Any:
        return OPS[_bits("and", other, self)](other, self)

    @entry
    def __or__(self, other: Any) -> Any:
        return OPS[_bits("or", self, other)](self, other)

    @entry
    def __ror__(self, other: Any) -> Any:
        return OPS[_bits("or", other, self)](other, self)

    @entry
    def __xor__(self, other: Any) -> Any:
        return OPS[_bits("xor", self, other)](self, other)

    @entry
    def __rxor__(self, other: Any) -> Any:
        return OPS[_bits("xor", other, self)](other, self)


def _bits(name: str, *operands: Any) -> str:
    """The op of ``&``, ``|``, ``^`` or ``~``: of truth values (and in patterns) the logical one, of integers the one bit by bit."""
    return f"logical_{name}" if all(map(_is_truth, operands)) else f"bitwise_{name}"


_METHODS: Final = (
    *("conj", "astype", "reshape", "transpose", "ravel", "flatten", "round", "clip", "sum", "mean", "prod", "var", "std", "cumsum"),
    *("cumprod", "max", "min", "any", "all", "argmax", "argmin", "__getitem__", "__bool__", "__len__"),
)
"""What of a tensor is called by users, and may raise."""


def _is_truth(x: Any) -> bool:
    if isinstance(x, Operators):
        return not isinstance(x, Tensor) or x.dtype == "bool"
    return np.asarray(x).dtype == bool


@entries(*_METHODS)
class Tensor(Operators):
    """A node: an operation applied to tensors, or a leaf. It has a type and no value.

    ``origin`` is the user's line and ``forward``, in a gradient, the forward node that it belongs to; neither they nor
    ``label`` are part of its identity. What is made of constants alone has neither: graphs that have nothing else in common
    share it. ``==`` compares identity; ``gc.equal`` compares values.
    """

    __slots__ = ("__weakref__", "attrs", "forward", "inputs", "label", "op", "origin", "type")
    op: Op | None
    inputs: tuple[Tensor, ...]
    attrs: tuple[Any, ...]
    type: TensorType
    origin: Origin | None
    forward: Tensor | None
    label: str | None

    def __init__(
        self, op: Op | None, inputs: tuple[Tensor, ...], attrs: tuple[Any, ...], type: TensorType, like: Tensor | None = None
    ) -> None:
        self.op, self.inputs, self.attrs, self.type, self.label = op, inputs, attrs, type, None
        if op is not None and _is_closed(inputs):
            self.origin = self.forward = None
        elif like is None or like.origin is None:
            self.origin, self.forward = origin.current()
        else:
            self.origin, self.forward = like.origin, like.forward

    @property
    def shape(self) -> Shape:
        """The sizes of the axes: whole numbers, or named sizes."""
        return self.type.shape

    @property
    def dtype(self) -> DType:
        """The name of the element type."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """How many axes."""
        return len(self.type.shape)

    @property
    def size(self) -> Dim:
        """How many elements."""
        return self.type.size

    @property
    def attributes(self) -> dict[str, Any]:
        """The operation's attributes by name, in canonical form."""
        return dict(zip(self.op.attributes, self.attrs, strict=True)) if self.op else {}

    @property
    def kind(self) -> str:
        """What it is in one word: ``operator``, ``input``, ``variable`` or ``constant``."""
        return "operator"

    @property
    def T(self) -> Tensor:  # noqa: N802 (NumPy's name)
        """The axes in reverse order."""
        return OPS["transpose"](self)

    @property
    def real(self) -> Tensor:
        """The real part."""
        return OPS["real"](self)

    @property
    def imag(self) -> Tensor:
        """The imaginary part."""
        return OPS["imag"](self)

    def conj(self) -> Tensor:
        """The complex conjugate."""
        return OPS["conj"](self)

    def named(self, label: str) -> Tensor:
        """Give the value a name, which drawings, listings and the emitted source use. Returns the same node."""
        self.label = label
        return self

    def astype(self, dtype: Any) -> Tensor:
        """The same values in another dtype."""
        return OPS["cast"](self, dtype=dtype)

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape; one size may be -1."""
        return OPS["reshape"](self, shape=shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Tensor:
        """Permute the axes."""
        return OPS["transpose"](self, axes=(axes[0] if len(axes) == 1 else axes) or None)

    def ravel(self) -> Tensor:
        """The elements along one axis, in row-major order."""
        return OPS["reshape"](self, shape=-1)

    def flatten(self) -> Tensor:
        """The elements along one axis, in row-major order."""
        return self.ravel()

    def round(self) -> Tensor:
        """The nearest whole numbers, halves to the even one."""
        return OPS["round"](self)

    def clip(self, low: Any, high: Any) -> Tensor:
        """The values brought into ``[low, high]``."""
        return OPS["clip"](self, low, high)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Sum over ``axis``."""
        return OPS["sum"](self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Mean over ``axis``."""
        return OPS["mean"](self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Product over ``axis``."""
        return OPS["prod"](self, axis=axis, keepdims=keepdims)

    def var(self, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
        """Mean square distance from the mean over ``axis``."""
        return OPS["var"](self, axis=axis, keepdims=keepdims, ddof=ddof)

    def std(self, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
        """Square root of the variance over ``axis``."""
        return OPS["std"](self, axis=axis, keepdims=keepdims, ddof=ddof)

    def cumsum(self, axis: int | None = None) -> Tensor:
        """Sums of the items up to each along ``axis``, or of the raveled tensor."""
        return OPS["cumsum"](self.ravel(), axis=0) if axis is None else OPS["cumsum"](self, axis=axis)

    def cumprod(self, axis: int | None = None) -> Tensor:
        """Products of the items up to each along ``axis``, or of the raveled tensor."""
        return OPS["cumprod"](self.ravel(), axis=0) if axis is None else OPS["cumprod"](self, axis=axis)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Largest element over ``axis``."""
        return OPS["max"](self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Smallest element over ``axis``."""
        return OPS["min"](self, axis=axis, keepdims=keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Whether one element over ``axis`` is not 0."""
        return OPS["any"](self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Whether no element over ``axis`` is 0."""
        return OPS["all"](self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int = -1) -> Tensor:
        """Index of the first of the largest elements along ``axis``, the last by default."""
        return OPS["argmax"](self, axis=axis)

    def argmin(self, axis: int = -1) -> Tensor:
        """Index of the first of the smallest elements along ``axis``, the last by default."""
        return OPS["argmin"](self, axis=axis)

    def __getitem__(self, index: Any) -> Tensor:
        return METHODS["getitem"](self, index)

    @property
    def at(self) -> Any:
        """Places to write: ``x.at[index].set(v)`` is ``x`` with other values there; also ``add``, ``max``, ``min``."""
        return METHODS["at"](self)

    def __len__(self) -> int:
        if not self.shape or not isinstance(self.shape[0], int):
            raise UnknownSizeError(
                f"len({self!r}): there is no length before the tensor has a value", fits="a first axis whose size is a number"
            )
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        raise ArgumentError(
            f"bool({self!r}): a node of a graph has no value yet", fits="gc.where for a choice, `is` for identity, gc.evaluate for a value"
        )

    def __repr__(self) -> str:
        name = self.label or (self.op.name if self.op else self.kind)
        return f"<{name} {self.type}>"

    def __str__(self) -> str:
        return repr(self) if self.op is None else SHOWN["text"](self)

    def _repr_latex_(self) -> str | None:
        return SHOWN["latex"](self)

    def _repr_html_(self) -> str | None:
        return SHOWN["html"](self)

    def __rich__(self) -> Any:
        return SHOWN["rich"](self)


def _is_closed(inputs: tuple[Tensor, ...]) -> bool:
    """Whether there is no leaf but constants behind them."""
    for x in inputs:  # noqa: SIM110  (each node asks, and all() takes three times as long)
        if x.origin is not None:
            return False
    return True


class Input(Tensor):
    """A leaf whose value comes with each call."""

    __slots__ = ()

    @property
    def kind(self) -> str:
        """``input``."""
        return "input"


class Constant(Tensor):
    """A leaf whose value is part of the graph, as a read-only array."""

    __slots__ = ("value",)
    value: np.ndarray[Any, Any]

    def __init__(self, value: np.ndarray[Any, Any], type: TensorType) -> None:
        self.op, self.inputs, self.attrs, self.type, self.value = None, (), (), type, value
        self.label = self.origin = self.forward = None

    @property
    def kind(self) -> str:
        """``constant``."""
        return "constant"

    @property
    def uniform(self) -> Any:
        """The one number that every element is, as a Python scalar, or None when they differ or there are none."""
        value = self.value
        if value.size == 1:  # nearly always, and NumPy takes its time for the rest
            return value.item()
        return value.item(0) if value.size and (value == value.flat[0]).all() else None

    def __repr__(self) -> str:
        return f"<constant {self.value!r}>" if self.value.size == 1 else super().__repr__()


class _Entry(ref["Tensor"]):
    """A weak reference to a node that knows the node's key. ``WeakValueDictionary`` has such entries too, at twice the price of a node."""

    __slots__ = ("key",)
    key: tuple[Any, ...]


_nodes: dict[tuple[Any, ...], _Entry] = {}
_interning = allocate_lock()


def _unlock() -> None:
    """In a forked child no other thread runs, so whoever was interning a node never lets the lock go."""
    global _interning
    _interning = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def _forget(entry: Any) -> None:
    _remove_dead_weakref(_nodes, entry.key)  # in one step: meanwhile another thread may have made the node anew


def _remember(key: tuple[Any, ...], node: Tensor) -> None:
    entry = _Entry(node, _forget)
    entry.key = key
    _nodes[key] = entry


def _known(key: tuple[Any, ...]) -> Any:
    entry = _nodes.get(key)
    return entry if entry is None else entry()


def intern(op: Op, inputs: tuple[Tensor, ...], attrs: tuple[Any, ...], type: TensorType, like: Tensor | None = None) -> Tensor:
    """The node of this operation on these inputs: the one that exists, or a new one, which comes from the line that ``like`` is from."""
    # A node keeps its inputs alive, so their ids stay theirs for as long as the entry exists.
    key = (op.name, attrs, *map(id, inputs))
    if attrs and 0.0 in attrs:  # 0.0 and -0.0 are equal
        key += tuple([copysign(1.0, value) for value in attrs if value.__class__ is float])
    with _interning:
        entry = _nodes.get(key)
        found = entry and entry()
        if found is None:
            found = Tensor(op, inputs, attrs, type, like)
            _remember(key, found)
    return found


_L = TypeVar("_L", bound=Tensor)


def intern_leaf(key: tuple[Any, ...], make: Callable[[], _L]) -> _L:
    """The leaf of this key: the one that exists, or the one that ``make`` makes."""
    with _interning:
        found = _known(key)
        if found is None:
            found = make()
            _remember(key, found)
    return found  # type: ignore[return-value]


def constant(value: Any, dtype: Any = None) -> Constant:
    """A tensor of the graph with this value. Equal arrays of equal dtype are the same node.

    The array is copied. Raises :class:`DTypeError` for a dtype that graphc does not have.
    """
    if value.__class__ not in _LITERALS:
        return _of_content(value, dtype)
    key = ("literal", value.__class__, value or str(value), dtype)  # there are two zeros, and they compare equal
    found = _known(key)
    if found is None:
        found = _of_content(value, dtype)
        _remember(key, found)
    return found


_LITERALS = (int, float)


def _of_content(value: Any, dtype: Any) -> Constant:
    name = None if dtype is None else dtypes.canonical(dtype)
    array = np.array(value, dtype=None if name is None else dtypes.numpy_dtype(name))
    name = name or dtypes.canonical(array.dtype)
    array.setflags(write=False)
    content = array.tobytes()
    if len(content) > 4096:  # the first hash takes ten milliseconds
        import hashlib

        content = hashlib.blake2b(content).digest()
    return intern_leaf(("constant", name, array.shape, content), lambda: Constant(array, TensorType(name, array.shape)))


def describe(node: Tensor) -> str:
    """One line of an error message: the type, what it is, and the user's line."""
    what = f"{node.kind} {node.label!r}" if node.label else (node.op.name if node.op else node.kind)
    return f"{node.type}   {what}" + (f", {node.origin}" if node.origin else "")
