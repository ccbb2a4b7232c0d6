"""How tensors are computed at once: a function of them is made a closed graph, once for each combination of types, and run by NumPy.

:func:`function` makes such a function of one that builds graphs; :class:`Call` is its graph, and what tapes record.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any, Final, NamedTuple, TypeVar, cast

import numpy as np

from graphc.compat.tensorflow.dtypes import DType, name_of
from graphc.compat.tensorflow.recording import recording
from graphc.compat.tensorflow.tensor import Reference, Tensor, convert, read
from graphc.core import Subgraph, TensorType, Variable, as_tensor, dtypes, substitute, toposort, tree
from graphc.core import Tensor as Node
from graphc.core.errors import DTypeError, GraphcError, SignatureError, near
from graphc.core.subgraph import parameter
from graphc.lower import compute, interpret
from graphc.nn.forward import Forward, current
from graphc.pipeline import compile

Array = np.ndarray[Any, Any]
F = TypeVar("F", bound=Callable[..., Any])
KEPT: Final = 4096
"""Functions, each for a combination of types and arguments, whose graphs are kept."""
_PATIENCE: Final = 2
"""So often a graph of several nodes is computed node by node; who asks once more is likely to ask often, and it is compiled."""


class Call:
    """A closed graph, and its values for values."""

    __slots__ = ("_function", "_runs", "node", "subgraph", "types")

    def __init__(self, subgraph: Subgraph) -> None:
        self.subgraph, self.types = subgraph, subgraph.types
        (*first, last) = subgraph.outputs or (None,)
        simple = not first and last is not None and last.op is not None and last.inputs == subgraph.parameters
        self.node = last if simple else None
        self._runs, self._function = 0, None

    def __call__(self, values: Sequence[Array]) -> Sequence[Array]:
        """The results for these values, which have the types of the parameters."""
        if self.node is not None:
            return (compute(self.node, values),)
        if self._function is None and self._runs < _PATIENCE:
            self._runs += 1
            return interpret(self.subgraph.outputs, dict(zip(self.subgraph.parameters, values, strict=True)))
        if self._function is None:
            self._function = compile(self.subgraph.parameters, list(self.subgraph.outputs))
        return self._function(*values)


@functools.lru_cache(maxsize=KEPT)
def call_of(subgraph: Subgraph) -> Call:
    """The call of this graph; equal graphs share theirs."""
    return Call(subgraph)


def apply(call: Call, operands: Sequence[Tensor]) -> list[Tensor]:
    """The results of a call, of which tapes are told."""
    values = call([x.array for x in operands])
    results = [Tensor(np.asarray(value), type) for value, type in zip(values, call.types, strict=True)]
    for tape in recording.tapes:
        tape.record(call, operands, results)
    return results


def function(*operands: str, apart: Sequence[str] = (), floats: bool = False, listed: bool = False) -> Callable[[F], F]:
    """Make a function of graphs one of values, too: on values it computes at once, on a tensor of a graph it builds a graph.

    ``operands`` are the parameters that are tensors, the first ones of the function; they have one dtype, but for those named in
    ``apart``, and a float one if ``floats``. The first is a list of tensors if ``listed``. Other arguments are known when a graph is
    made. ``name=`` is accepted everywhere, and does nothing.
    """

    def declare(body: F) -> F:
        entry = _Entry(body, operands, frozenset(apart), floats, listed)

        @functools.wraps(body)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return entry(args, kwargs)

        return cast("F", wrapped)

    return declare


class _Entry:
    """A function as :func:`function` declares it."""

    def __init__(self, body: Callable[..., Any], operands: tuple[str, ...], apart: frozenset[str], floats: bool, listed: bool) -> None:
        self.body, self.operands, self.listed, self.floats = body, operands, listed, floats
        parameters = inspect.signature(body).parameters
        self.names = tuple(parameters)
        self.defaults = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
        self.together = [name not in apart for name in operands]

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given, static = self._bound(args, kwargs)
        if is_symbolic(given):
            nodes = [node_of(x) for x in given]
            return self.body(*([nodes] if self.listed else nodes), **static)
        tensors = self._converted(given)
        types = tuple([None if x is None else x.type for x in tensors])
        try:
            call, form = _made(self.body, self.listed, types, tuple([(name, frozen(value)) for name, value in static.items()]))
        except GraphcError as error:
            raise self._explained(error, tensors) from None
        results = apply(call, [x for x in tensors if x is not None])
        return results[0] if form is None else form(results)

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        kwargs.pop("name", None)
        count = len(self.operands)
        given = list(args[:count])
        for name in self.operands[len(given) :]:
            if name not in kwargs and name not in self.defaults:
                raise SignatureError(f"{self.body.__name__} needs {name}", fits=", ".join(self.names))
            given.append(kwargs.pop(name) if name in kwargs else self.defaults[name])
        static = dict(zip(self.names[count:], args[count:], strict=False)) | kwargs
        for name in static:
            if name not in self.names[count:]:
                raise SignatureError(f"{self.body.__name__} has no argument {name!r}{near(name, self.names)}", fits=", ".join(self.names))
        return (list(given[0]) if self.listed else given), static

    @property
    def title(self) -> str:
        """What the caller called."""
        return f"tf.{self.body.__name__.removeprefix('_')}"

    def _explained(self, error: GraphcError, tensors: list[Tensor | None]) -> GraphcError:
        names = [f"{self.operands[0]}[{i}]" for i in range(len(tensors))] if self.listed else self.operands
        given = [f"{name}: {x.type}" for name, x in zip(names, tensors, strict=True) if x is not None]
        return type(error)(f"{self.title}: {error.asked.rpartition(': ')[2]}", given=given, fits=error.fits)

    def _converted(self, given: list[Any]) -> list[Tensor | None]:
        """The operands as tensors; what is none takes the dtype of the first that is, among those of one dtype."""
        together = [True] * len(given) if self.listed else self.together
        hint = next((x for x, same in zip(given, together, strict=True) if same and isinstance(x, Tensor | Reference | Variable)), None)
        like = None if hint is None else name_of(hint.dtype)
        tensors: list[Tensor | None] = []
        for x, same in zip(given, together, strict=True):
            tensor = x if x is None or x.__class__ is Tensor else convert(x, like=like if same else None)
            if same and like is None and tensor is not None:
                like = tensor.type.dtype
            tensors.append(tensor)
        self._check(tensors, together)
        return tensors

    def _check(self, tensors: list[Tensor | None], together: list[bool]) -> None:
        mine = [x for x, same in zip(tensors, together, strict=True) if same and x is not None]
        if any(x.type.dtype != mine[0].type.dtype for x in mine):
            raise DTypeError(
                f"{self.title}: {' and '.join(dict.fromkeys(x.type.dtype for x in mine))} do not mix",
                given=[str(x.type) for x in mine],
                fits=f"tf.cast(x, tf.{mine[0].type.dtype}), so that all are of one dtype",
            )
        if self.floats and mine and not dtypes.is_inexact(mine[0].type.dtype):
            raise DTypeError(
                f"{self.title} of {mine[0].type.dtype}", given=[str(x.type) for x in mine], fits="floats: tf.cast(x, tf.float32)"
            )


@functools.lru_cache(maxsize=KEPT)
def _made(body: Callable[..., Any], listed: bool, types: tuple[TensorType | None, ...], static: tuple[tuple[str, Any], ...]) -> Any:
    """The call of a function for operands of these types, and what puts several results together."""
    own = [type for type in types if type is not None]
    places = iter(range(len(own)))
    parameters = [None if type is None else parameter(next(places), type) for type in types]
    result = body(*([parameters] if listed else parameters), **{name: thawed(value) for name, value in static})
    several = isinstance(result, list | tuple)
    outputs: list[Any] = [*result] if several else [result]
    call = call_of(Subgraph(own, [as_tensor(output) for output in outputs]))
    return call, (_form(result) if several else None)


def _form(result: Any) -> Callable[[list[Tensor]], Any]:
    return getattr(result, "_make", tuple if isinstance(result, tuple) else list)


class _Slice(tuple[Any, ...]):
    """A slice that can be a key, which slices cannot before Python 3.12."""

    __slots__ = ()


class _List(tuple[Any, ...]):
    """A list that can be a key."""

    __slots__ = ()


class _Dict(tuple[Any, ...]):
    """The items of a dict, which can be a key."""

    __slots__ = ()


def frozen(value: Any) -> Any:
    """An argument that is no operand, as a key: values of tensors, lists as tuples, dtypes by their names."""
    if isinstance(value, slice):
        bounds = cast("slice[Any, Any, Any]", value)
        return _Slice([frozen(part) for part in (bounds.start, bounds.stop, bounds.step)])
    if isinstance(value, list):
        return _List([frozen(item) for item in cast("list[Any]", value)])
    if isinstance(value, tuple):
        return tuple([frozen(item) for item in cast("tuple[Any, ...]", value)])
    if isinstance(value, dict):
        return _Dict([(name, frozen(item)) for name, item in cast("dict[Any, Any]", value).items()])
    if isinstance(value, Tensor | np.ndarray):
        return frozen(np.asarray(value).tolist())  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, np.integer):
        return int(cast("Any", value))
    return value.name if isinstance(value, DType) else value


def thawed(value: Any) -> Any:
    """The argument that a key stands for."""
    if isinstance(value, _Slice):
        return slice(*[thawed(part) for part in value])
    if isinstance(value, _Dict):
        return {name: thawed(item) for name, item in value}
    if isinstance(value, tuple):
        items = [thawed(item) for item in cast("tuple[Any, ...]", value)]
        return items if isinstance(value, _List) else tuple(items)
    return value


def is_symbolic(operands: Sequence[Any]) -> bool:
    """Whether a function of these builds a graph: one of them is a node that has no value, or a variable of a layer that is called."""
    found = [x for x in operands if isinstance(x, Node | Reference)]
    return bool(found) and (current() is not None or any(not isinstance(x, Variable | Reference) for x in found))


def node_of(x: Any) -> Any:
    """The operand of a graph that this is: a node as it is, the value of a tensor as an array, Python's numbers as they are."""
    if isinstance(x, Reference):
        return x.leaf
    return x.array if isinstance(x, Tensor) else x


def on_values(called: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """A function of graphs, such as a layer or a loss, on tensors and arrays: computed at once, and known to tapes.

    Variables that it reads are operands as well, and those that it updates are updated. The graph of a function is kept; a layer makes
    its graph anew each time, since it may have changed, and if that is the same as before, so is the call.
    """
    leaves, refill = tree.flatten((args, dict(kwargs)))
    tensors = [convert(leaf) if isinstance(leaf, Tensor | Reference | np.ndarray) else None for leaf in leaves]
    operands = [x for x in tensors if x is not None]
    places = iter(range(len(operands)))
    args, kwargs = refill([leaf if x is None else parameter(next(places), x.type) for leaf, x in zip(leaves, tensors, strict=True)])
    traced = _traced if isinstance(called, FunctionType) else _traced.__wrapped__
    graph = traced(
        called, tuple([x.type for x in operands]), frozen(args), tuple([(name, frozen(value)) for name, value in kwargs.items()])
    )
    values = apply(graph.call, [*operands, *map(read, graph.variables)])
    count = len(values) - len(graph.updated)
    for variable, value in zip(graph.updated, values[count:], strict=True):
        variable.assign(value.array)
    return graph.rebuilt(values[:count])


class _Traced(NamedTuple):
    """What a function of graphs gave: its call, whose last operands are ``variables`` and last results the new values of ``updated``."""

    call: Call
    variables: tuple[Variable, ...]
    updated: tuple[Variable, ...]
    rebuilt: Callable[[Sequence[Any]], Any]


@functools.lru_cache(maxsize=KEPT)
def _traced(called: Callable[..., Any], types: tuple[TensorType, ...], args: Any, kwargs: tuple[tuple[str, Any], ...]) -> _Traced:
    with Forward() as forward:
        outputs, rebuilt = tree.flatten(called(*thawed(args), **{name: thawed(value) for name, value in kwargs}))
    results = [as_tensor(y) for y in (*outputs, *forward.updates.values())]
    variables = [x for x in toposort(results) if isinstance(x, Variable)]
    stand_ins: dict[Node, Node] = {x: parameter(len(types) + i, x.type) for i, x in enumerate(variables)}
    call = call_of(Subgraph([*types, *[x.type for x in variables]], substitute(results, stand_ins)))
    return _Traced(call, tuple(variables), tuple(forward.updates), rebuilt)
