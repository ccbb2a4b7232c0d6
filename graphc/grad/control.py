"""Loops, branches and calls: ops whose attributes are graphs. Their derivatives are loops, branches and calls again.

``scan`` keeps what its carry was before each step among its results, which the backward loop reads; what nobody reads is left out of
the emitted source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from graphc import ops
from graphc.core import Subgraph, Tensor, TensorType, as_tensor, close, describe, dtypes, input, op, sizes, tree
from graphc.core.errors import ArgumentError, DTypeError, GradientError, ShapeError
from graphc.core.sizes import Dim
from graphc.grad.batch import batched, stacked_first
from graphc.grad.forward import pushforward
from graphc.grad.reverse import pullback


def _body_flops(name: str) -> Callable[[Tensor], Dim]:
    """What one call of this attribute costs."""
    return lambda node: _flops(node.attributes[name])


def _loop_flops(node: Tensor) -> Dim:
    return _flops(node.attributes["body"]) * node.attributes["length"]


def _flops(body: Subgraph) -> Dim:
    total: Dim = 0
    for node in body.nodes:
        if node.op is not None:
            total = node.op.count_flops(node) + total
    return total


def _inexact(types: Sequence[Any]) -> list[int]:
    """The places of those that carry gradients."""
    return [i for i, x in enumerate(types) if dtypes.is_inexact(x.dtype)]


def _fresh(tensors: Sequence[Any], label: str = "p") -> list[Tensor]:
    return [input(f"{label}{i}", x.shape, x.dtype) for i, x in enumerate(tensors)]


# ---------------------------------------------------------------- scan
@op(
    "scan($body, [$operands], $carries, $sequences, $length, $reverse, $history, $results)",
    name="scan",
    helper='''
def scan(body, operands, carries, sequences, length, reverse, history, results):
    """Call the body once a step: it takes the carry, an item of each sequence and the rest, and returns the new carry and results.
    ``history`` names the carries whose value before each step is a result too."""
    carry = [np.array(x) for x in operands[:carries]]
    xs, rest = operands[carries:carries + sequences], operands[carries + sequences:]
    ys = [np.empty((length, *shape), dtype) for shape, dtype in results]
    for i in range(length - 1, -1, -1) if reverse else range(length):
        out = body(*carry, *[x[i] for x in xs], *rest)
        for y, value in zip(ys, [*out[carries:], *[carry[j] for j in history]]):
            y[i] = value
        carry = out[:carries]
    return (*carry, *ys)
''',
    jax="scan($body, [$operands], $carries, $sequences, $length, $reverse, $history)",
    jax_helper='''
def scan(body, operands, carries, sequences, length, reverse, history):
    """One loop: the body takes the carry, an item of each sequence and the rest, and returns the new carry and results.
    ``history`` names the carries whose value before each step is a result too."""
    rest = operands[carries + sequences:]

    def step(carry, xs):
        out = body(*carry, *xs, *rest)
        return out[:carries], (*out[carries:], *[carry[j] for j in history])

    carry, ys = jax.lax.scan(step, operands[:carries], operands[carries:carries + sequences], length=length, reverse=reverse)
    return (*carry, *ys)
''',
    raises=True,
    flops=_loop_flops,
    text="scan($operands)",
)
def _scan(
    *operands: TensorType,
    body: Subgraph,
    carries: int,
    sequences: int,
    length: Dim,
    reverse: bool,
    truncate: int | None,
    history: tuple[int, ...],
    results: tuple[TensorType, ...],
) -> Any:
    """A loop over the first axis of sequences. Operands: the first carry, the sequences, and what every step reads.

    Results: the last carry, the stacked results of the steps, and the stacked carries before each step, as many as ``history`` names.
    """
    return (*body.types[:carries], *[t.with_shape((length, *t.shape)) for t in results])


def _loop(
    body: Subgraph, carry: Sequence[Any], xs: Sequence[Any], rest: Sequence[Any], length: Dim, reverse: bool, truncate: int | None = None
) -> tuple[Tensor, ...]:
    """The results of a loop with its whole history."""
    return _scan(
        [*carry, *xs, *rest],
        body=body,
        carries=len(carry),
        sequences=len(xs),
        length=length,
        reverse=reverse,
        truncate=truncate,
        history=tuple(range(len(carry))),
        results=(*body.types[len(carry) :], *body.types[: len(carry)]),
    )


def _without_unread(node: Tensor, read: set[int]) -> tuple[Tensor, list[int]] | None:
    """The loop without the stacked results that nobody reads, and the places of those that are left."""
    n: int = node.attributes["carries"]
    body: Subgraph = node.attributes["body"]
    own = len(body.outputs) - n
    history: tuple[int, ...] = node.attributes["history"]
    kept = [i for i in range(own) if n + i in read]
    remembered = [j for j in range(len(history)) if n + own + j in read]
    if len(kept) == own and len(remembered) == len(history):
        return None
    slim = Subgraph([p.type for p in body.parameters], [*body.outputs[:n], *[body.outputs[n + i] for i in kept]])
    recorded = tuple([history[j] for j in remembered])
    results: tuple[TensorType, ...] = (*slim.types[n:], *[body.types[j] for j in recorded])
    assert node.op is not None
    attributes: dict[str, Any] = node.attributes | {"body": slim, "history": recorded, "results": results}
    places = [*range(n), *(n + i for i in kept), *(n + own + j for j in remembered)]
    return node.op.apply(node.inputs, tuple(attributes.values())), places


_scan.prune = _without_unread


def scan(
    f: Callable[..., Any], init: Any, xs: Any = None, length: Any = None, reverse: bool = False, truncate: int | None = None
) -> tuple[Any, Any]:
    """A loop with a carry: ``carry, y = f(carry, x)`` for each item ``x`` along the first axis of ``xs``, as ``jax.lax.scan``.

    Args:
        f: a function of tensors, called once, while the graph is built. What else it reads is read by every step.
        init: the first carry: a tensor, or tuples, lists and dicts of them. ``f`` returns a carry of the same structure and types.
        xs: what to loop over, in any such structure, or None; all have the same first size.
        length: the number of steps, needed when ``xs`` is None: a whole number or a named size.
        reverse: go from the last item to the first; the results are stacked in the order of ``xs``.
        truncate: stop the gradient's way through the carry at every step whose number is a multiple of this: truncated
            backpropagation through time (Williams and Peng, 1990), in chunks.

    Returns:
        The last carry, and the ``y`` of all steps stacked along a new first axis.

    Raises:
        ShapeError, DTypeError: the carry changes its type, or sequences differ in length. ArgumentError: there is no length.
    """
    first, rebuild_carry = tree.flatten(init)
    first = [as_tensor(x) for x in first]
    items, rebuild_items = tree.flatten(xs)
    items = [as_tensor(x) for x in items]
    steps = _length("scan", items, length)
    if truncate is not None and truncate < 1:
        raise ArgumentError(f"scan: truncate={truncate}", fits="a whole number of steps, 1 or more, or None")
    carry, current = _fresh(first, "carry"), [input(f"x{i}", x.shape[1:], x.dtype) for i, x in enumerate(items)]
    returned: Any = f(rebuild_carry(carry), rebuild_items(current))
    if not isinstance(returned, tuple) or len(cast("Any", returned)) != 2:
        raise ArgumentError(f"scan: f returned {returned!r}", fits="a pair: the new carry, and the result of the step (or None)")
    new = [as_tensor(x) for x in tree.flatten(returned[0])[0]]
    first, new = _settled(f, rebuild_carry, first, new)
    results, rebuild_results = tree.flatten(returned[1])
    body, rest = close([*carry, *current], [*new, *[as_tensor(y) for y in results]])
    found = _loop(body, first, items, rest, steps, reverse, truncate)
    n = len(carry)
    return rebuild_carry(found[:n]), rebuild_results(found[n : n + len(results)])


def _settled(f: Any, rebuild: Any, first: list[Tensor], new: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    if len(first) != len(new):
        raise ArgumentError(f"scan: the carry has {len(first)} tensors, and f returns {len(new)}", fits="the structure of init")
    for before, after in zip(first, new, strict=True):
        error = ShapeError if before.shape != after.shape else DTypeError
        if before.type is not after.type:
            raise error(
                "scan: the carry changes its type from one step to the next",
                given=[f"init: {describe(before)}", f"f returns: {describe(after)}"],
                fits=f"{before.type}; gc.cast, gc.broadcast_to or another init",
            )
    return first, new


def _length(name: str, items: Sequence[Tensor], length: Any) -> Dim:
    for x in items:
        if not x.shape:
            raise ShapeError(f"{name}: a sequence has no axis to loop over", given=[describe(x)], fits="at least one axis")
    found = list(dict.fromkeys([x.shape[0] for x in items] + ([] if length is None else [sizes.canonical((length,))[0]])))
    if len(found) > 1:
        raise ShapeError(
            f"{name}: the sequences have {' and '.join([str(n) for n in found])} items",
            given=[describe(x) for x in items],
            fits="one length",
        )
    if not found:
        raise ArgumentError(f"{name}: there is nothing to loop over", fits="xs, or length=")
    return found[0]


class _Places:
    """A loop's operands and results by what they are, and which of them carry gradients."""

    def __init__(self, operands: Sequence[Tensor], body: Subgraph, carries: int, sequences: int) -> None:
        self.init, self.xs = operands[:carries], operands[carries : carries + sequences]
        self.rest = operands[carries + sequences :]
        self.results = body.outputs[carries:]
        self.moving, self.fed, self.reading, self.told = (_inexact(group) for group in (self.init, self.xs, self.rest, self.results))

    def step(self) -> tuple[list[Tensor], list[Any], list[Tensor]]:
        """Fresh inputs for one step: the carry, an item of each sequence, and the rest."""
        items = [input(f"x{i}", x.shape[1:], x.dtype) for i, x in enumerate(self.xs)]
        return _fresh(self.init, "carry"), items, _fresh(self.rest, "w")


@_scan.vjp
def _(
    g: tuple[Tensor, ...],
    y: tuple[Tensor, ...],
    *operands: Tensor,
    body: Subgraph,
    carries: int,
    sequences: int,
    length: Dim,
    reverse: bool,
    truncate: int | None,
    history: tuple[int, ...],
    results: tuple[TensorType, ...],
) -> tuple[Tensor | None, ...]:
    """The loop backwards. Its carry: the cotangents of the carry and of what every step reads; it recomputes a step from its history."""
    p = _Places(operands, body, carries, sequences)
    before, items, rest = p.step()
    outputs = body(*before, *items, *rest)
    g_carry, g_rest = _fresh([p.init[i] for i in p.moving], "g"), _fresh([p.rest[i] for i in p.reading], "gw")
    g_results, g_before = _fresh([p.results[i] for i in p.told], "gy"), _fresh([p.init[i] for i in p.moving], "gh")
    wrt = [*(before[i] for i in p.moving), *(items[i] for i in p.fed), *(rest[i] for i in p.reading)]
    found = pullback([*(outputs[i] for i in p.moving), *(outputs[carries + i] for i in p.told)], [*g_carry, *g_results], wrt)
    a, b = len(p.moving), len(p.moving) + len(p.fed)
    through, numbers, number = _cut(found[:a], length, reverse, truncate)
    new_carry = [ops.add(share, own) for share, own in zip(through, g_before, strict=True)]
    new_rest = [ops.add(share, total) for share, total in zip(found[b:], g_rest, strict=True)]
    backward, outside = close(
        [*g_carry, *g_rest, *before, *items, *g_results, *g_before, *number, *rest], [*new_carry, *new_rest, *found[a:b]]
    )
    remembered = y[carries + len(p.results) :]
    told = [g[carries + i] for i in p.told]
    held = [g[carries + len(p.results) + i] for i in p.moving]
    start = [*(g[i] for i in p.moving), *(ops.zeros_like(p.rest[i]) for i in p.reading)]
    done = _loop(backward, start, [*remembered, *p.xs, *told, *held, *numbers], [*p.rest, *outside], length, not reverse)
    places = [*p.moving, *(carries + sequences + i for i in p.reading), *(carries + i for i in p.fed)]
    shares = dict(zip(places, done, strict=False))
    return tuple([shares.get(i) for i in range(len(operands))])


def _cut(shares: list[Tensor], length: Dim, reverse: bool, truncate: int | None) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """The shares of the carry, 0 at the steps where the gradient stops; the numbers of the steps, and the one of this step."""
    if truncate is None:
        return shares, [], []
    numbers, number = ops.arange(length, dtype="int64"), input("step", (), "int64")
    first = ops.equal(number % truncate, 0)
    return [ops.where(first, 0, share) for share in shares], [ops.flip(numbers, axis=0) if reverse else numbers], [number]


@_scan.jvp
def _(
    t: tuple[Tensor | None, ...],
    y: tuple[Tensor, ...],
    *operands: Tensor,
    body: Subgraph,
    carries: int,
    sequences: int,
    length: Dim,
    reverse: bool,
    truncate: int | None,
    history: tuple[int, ...],
    results: tuple[TensorType, ...],
) -> tuple[Tensor, ...]:
    """The loop beside its tangents: both are carried."""
    p = _Places(operands, body, carries, sequences)
    before, items, rest = p.step()
    outputs = body(*before, *items, *rest)
    given = [*(before[i] if i in p.moving else None for i in range(carries)), *items, *rest]
    moved = [i for i, x in enumerate(given) if x is not None and (i < carries or t[i] is not None)]
    tangent_of = {i: input(f"t{i}", x.shape, x.dtype) for i in moved if (x := given[i]) is not None}
    flat = pushforward(outputs, {x: tangent_of[i] for i in moved if (x := given[i]) is not None})
    tangents = [ops.zeros_like(out) if d is None else d for out, d in zip(outputs, flat, strict=True)]
    m = carries + sequences
    at = [[i for i in moved if low <= i < high] for low, high in ((0, carries), (carries, m), (m, len(given)))]
    t_carry, t_items, t_rest = ([tangent_of[i] for i in group] for group in at)
    forward, outside = close(
        [*before, *t_carry, *items, *t_items, *rest, *t_rest],
        [*outputs[:carries], *(tangents[i] for i in at[0]), *outputs[carries:], *tangents[carries:]],
    )
    start = [*p.init, *(ops.zeros_like(p.init[i]) if t[i] is None else t[i] for i in at[0])]
    done = _loop(forward, start, [*p.xs, *(t[i] for i in at[1])], [*p.rest, *(t[i] for i in at[2]), *outside], length, reverse, truncate)
    n, k = len(start), len(p.results)
    last = dict(zip(at[0], done[carries:n], strict=True))
    remembered = dict(zip(at[0], done[n + 2 * k + carries :], strict=True))
    return (
        *[last[i] if i in last else ops.zeros_like(y[i]) for i in range(carries)],
        *done[n + k : n + 2 * k],
        *[remembered[j] if j in remembered else ops.zeros_like(y[carries + k + i]) for i, j in enumerate(history)],
    )


@_scan.vmap
def _(
    mapped: tuple[bool, ...],
    *operands: Tensor,
    body: Subgraph,
    carries: int,
    sequences: int,
    length: Dim,
    reverse: bool,
    truncate: int | None,
    history: tuple[int, ...],
    results: tuple[TensorType, ...],
) -> tuple[Tensor, ...]:
    """One loop whose steps work on all at once. The carry has the new axis first, the sequences after the axis of the steps."""
    size = next(x.shape[0] for x, m in zip(operands, mapped, strict=True) if m)
    p = _Places(operands, body, carries, sequences)
    start = [x if m else stacked_first(x, size) for x, m in zip(p.init, mapped, strict=False)]
    xs = [ops.swapaxes(x, 0, 1) if m else x for x, m in zip(p.xs, mapped[carries:], strict=False)]
    inner = [
        *_fresh(start, "carry"),
        *[input(f"x{i}", x.shape[1:], x.dtype) for i, x in enumerate(xs)],
        *_fresh(p.rest, "w"),
    ]
    flags = (*[True] * carries, *mapped[carries:])
    outputs = batched(body.outputs, dict(zip(body.parameters, zip(inner, flags, strict=True), strict=True)), size)
    wide, outside = close(inner, outputs)
    done = _loop(wide, start, xs, [*p.rest, *outside], length, reverse, truncate)
    k = carries + len(p.results)
    remembered = [done[k + j] for j in history]
    return (*done[:carries], *[ops.swapaxes(y, 0, 1) for y in (*done[carries:k], *remembered)])


def map(f: Callable[..., Any], xs: Any) -> Any:
    """``f`` of each item along the first axis of ``xs``, stacked: a loop, where ``vmap`` is one computation on all of them.

    ``xs`` and what ``f`` returns are tensors, or tuples, lists and dicts of them. Errors are those of ``scan``.
    """

    def step(carry: Any, x: Any) -> Any:
        return carry, f(x)

    return scan(step, None, xs)[1]


# ---------------------------------------------------------------- cond
@op(
    "cond($on_true, $on_false, $operands)",
    name="cond",
    helper='''
def cond(on_true, on_false, chosen, *operands):
    """One of two calls."""
    return on_true(*operands) if chosen else on_false(*operands)
''',
    jax_helper='''
def cond(on_true, on_false, chosen, *operands):
    """One of two calls."""
    return jax.lax.cond(chosen, on_true, on_false, *operands)
''',
    raises=True,
    flops=_body_flops("on_true"),
    text="cond($operands)",
)
def _cond(*operands: TensorType, on_true: Subgraph, on_false: Subgraph) -> Any:
    """The results of one of two bodies: operands are a truth value, and then what the bodies take."""
    return on_true.types


def cond(chosen: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], *operands: Any) -> Any:
    """``true_fn(*operands)`` where ``chosen`` holds, else ``false_fn(*operands)``, as ``jax.lax.cond``: only one of them is computed.

    Args:
        chosen: a truth value: a bool tensor without axes. ``where`` chooses element by element.
        true_fn: a function of tensors, called once, while the graph is built; it may read tensors from outside.
        false_fn: another, which returns the same structure of the same types.
        operands: tensors, or tuples, lists and dicts of them.

    Raises:
        ShapeError, DTypeError, ArgumentError: ``chosen`` is no single truth value, or the branches differ.
    """
    chosen = as_tensor(chosen)
    if chosen.dtype != "bool":
        raise DTypeError(
            "cond: the condition is no truth value", given=[describe(chosen)], fits="bool; a comparison, or gc.cast(x, 'bool')"
        )
    if chosen.shape != ():
        raise ShapeError("cond: the condition has axes", given=[describe(chosen)], fits="(); gc.where chooses element by element")
    given, rebuild = tree.flatten(operands)
    inputs = [as_tensor(x) for x in given]
    stand_ins = _fresh(inputs)
    branches = [f(*rebuild(stand_ins)) for f in (true_fn, false_fn)]
    (one, rebuild_result), (other, _) = (tree.flatten(branch) for branch in branches)
    one, other = [as_tensor(x) for x in one], [as_tensor(x) for x in other]
    _same_types("cond: the branches", one, other)
    both, outside = close(stand_ins, [*one, *other])
    types = [p.type for p in both.parameters]
    n = len(one)
    found = _cond([chosen, *inputs, *outside], on_true=Subgraph(types, both.outputs[:n]), on_false=Subgraph(types, both.outputs[n:]))
    return rebuild_result(found)


def _same_types(what: str, ones: Sequence[Tensor], others: Sequence[Tensor]) -> None:
    if len(ones) != len(others):
        raise ArgumentError(f"{what} return {len(ones)} and {len(others)} tensors", fits="the same structure")
    for one, other in zip(ones, others, strict=True):
        if one.type is not other.type:
            error = DTypeError if one.shape == other.shape else ShapeError
            raise error(f"{what} return different types", given=[describe(one), describe(other)], fits="the same shape and dtype")


@_cond.vjp
def _(g: tuple[Tensor, ...], y: tuple[Tensor, ...], *operands: Tensor, on_true: Subgraph, on_false: Subgraph) -> tuple[Tensor | None, ...]:
    chosen, inputs = operands[0], operands[1:]
    places = _inexact(inputs)
    told = _inexact(y)
    found = _cond(
        [chosen, *inputs, *(g[i] for i in told)],
        on_true=_pulled(on_true, inputs, places, told),
        on_false=_pulled(on_false, inputs, places, told),
    )
    shares = dict(zip(places, found, strict=True))
    return (None, *[shares.get(i) for i in range(len(inputs))])


def _pulled(body: Subgraph, inputs: Sequence[Tensor], places: Sequence[int], told: Sequence[int]) -> Subgraph:
    """The pullback of a body: a body of its arguments and of the cotangents of the results in ``told``."""
    own = _fresh(inputs)
    outputs = [body(*own)[i] for i in told]
    g = _fresh(outputs, "g")
    return close([*own, *g], pullback(outputs, g, [own[i] for i in places]))[0]


def _pushed(body: Subgraph, inputs: Sequence[Tensor], moved: Sequence[int]) -> Subgraph:
    """The pushforward of a body: a body of its arguments and of the tangents of those in ``moved``, to the tangents of all results."""
    own = _fresh(inputs)
    t = _fresh([inputs[i] for i in moved], "t")
    outputs = body(*own)
    tangents = pushforward(outputs, dict(zip([own[i] for i in moved], t, strict=True)))
    return close([*own, *t], [ops.zeros_like(out) if d is None else d for out, d in zip(outputs, tangents, strict=True)])[0]


def _spread_out(body: Subgraph, inputs: Sequence[Tensor], mapped: Sequence[bool], size: Dim) -> Subgraph:
    """The body on stacks: those of its arguments that are mapped have a first axis more, and all results do."""
    own = _fresh(inputs)
    outputs = batched(body.outputs, dict(zip(body.parameters, zip(own, mapped, strict=True), strict=True)), size)
    return close(own, outputs)[0]


def _moved(t: Sequence[Tensor | None]) -> list[int]:
    return [i for i, x in enumerate(t) if x is not None]


@_cond.jvp
def _(t: tuple[Tensor | None, ...], y: tuple[Tensor, ...], *operands: Tensor, on_true: Subgraph, on_false: Subgraph) -> tuple[Tensor, ...]:
    chosen, inputs, moved = operands[0], operands[1:], _moved(t[1:])
    return _cond(
        [chosen, *inputs, *(t[1 + i] for i in moved)], on_true=_pushed(on_true, inputs, moved), on_false=_pushed(on_false, inputs, moved)
    )


@_cond.vmap
def _(mapped: tuple[bool, ...], *operands: Tensor, on_true: Subgraph, on_false: Subgraph) -> tuple[Tensor, ...]:
    """Where each item chooses for itself, both branches are computed, and ``where`` picks."""
    chosen, inputs = operands[0], operands[1:]
    size = next(x.shape[0] for x, m in zip(operands, mapped, strict=True) if m)
    branches = [_spread_out(body, inputs, mapped[1:], size) for body in (on_true, on_false)]
    if not mapped[0]:
        return _cond([chosen, *inputs], on_true=branches[0], on_false=branches[1])
    return tuple(
        [
            ops.where(ops.reshape(chosen, (*chosen.shape, *[1] * (a.ndim - 1))), a, b)
            for a, b in zip(branches[0](*inputs), branches[1](*inputs), strict=True)
        ]
    )


# ---------------------------------------------------------------- while_loop
@op(
    "while_loop($test, $body, [$operands], $carries)",
    name="while_loop",
    helper='''
def while_loop(test, body, operands, carries):
    """Call the body on the carry and the rest for as long as the test holds."""
    carry, rest = [np.array(x) for x in operands[:carries]], operands[carries:]
    while test(*carry, *rest)[0]:
        carry = body(*carry, *rest)
    return tuple(carry)
''',
    jax_helper='''
def while_loop(test, body, operands, carries):
    """Call the body on the carry and the rest for as long as the test holds."""
    rest = operands[carries:]
    return jax.lax.while_loop(lambda carry: test(*carry, *rest)[0], lambda carry: body(*carry, *rest), operands[:carries])
''',
    raises=True,
    flops=_body_flops("body"),
    text="while_loop($operands)",
)
def _while_loop(*operands: TensorType, test: Subgraph, body: Subgraph, carries: int) -> Any:
    """A loop for as long as a test holds. Operands: the first carry, and what every step reads."""
    return body.types


def while_loop(cond_fun: Callable[..., Any], body_fun: Callable[..., Any], init: Any) -> Any:
    """``carry = body_fun(carry)`` for as long as ``cond_fun(carry)`` holds, as ``jax.lax.while_loop``.

    The number of steps is not known before the call, so there is no reverse mode (``scan`` has it); ``jvp`` passes.

    Args:
        cond_fun: from the carry to one truth value.
        body_fun: from the carry to a carry of the same structure and types.
        init: the first carry: a tensor, or tuples, lists and dicts of them.

    Raises:
        ShapeError, DTypeError, ArgumentError: the test is no single truth value, or the carry changes its type.
    """
    first, rebuild = tree.flatten(init)
    first = [as_tensor(x) for x in first]
    carry = _fresh(first, "carry")
    test = as_tensor(cond_fun(rebuild(carry)))
    if (test.dtype, test.shape) != ("bool", ()):
        raise DTypeError("while_loop: cond_fun returns no truth value", given=[describe(test)], fits="bool[]; a comparison")
    new = [as_tensor(x) for x in tree.flatten(body_fun(rebuild(carry)))[0]]
    _same_types("while_loop: init and body_fun", first, new)
    both, outside = close(carry, [test, *new])
    types = [p.type for p in both.parameters]
    found = _while_loop(
        [*first, *outside], test=Subgraph(types, both.outputs[:1]), body=Subgraph(types, both.outputs[1:]), carries=len(first)
    )
    return rebuild(found)


@_while_loop.vjp
def _(g: Any, y: Any, *operands: Tensor, test: Subgraph, body: Subgraph, carries: int) -> Any:
    raise GradientError(
        "while_loop has no reverse mode: how many steps to go back is not known before the call",
        given=[f"carry: {describe(x)}" for x in operands[:carries]],
        fits="gc.scan with a fixed number of steps; gc.jvp; gc.stop_gradient around the result",
    )


@_while_loop.jvp
def _(
    t: tuple[Tensor | None, ...], y: tuple[Tensor, ...], *operands: Tensor, test: Subgraph, body: Subgraph, carries: int
) -> tuple[Tensor, ...]:
    first, rest = operands[:carries], operands[carries:]
    moving, read = _inexact(first), _moved(t[carries:])
    own, steady = _fresh(first, "carry"), _fresh(rest, "w")
    t_own, t_steady = _fresh([first[i] for i in moving], "t"), _fresh([rest[i] for i in read], "tw")
    outputs = body(*own, *steady)
    moved = dict(zip([*(own[i] for i in moving), *(steady[i] for i in read)], [*t_own, *t_steady], strict=True))
    tangents = pushforward([outputs[i] for i in moving], moved)
    new = [ops.zeros_like(x) if d is None else d for x, d in zip(t_own, tangents, strict=True)]
    arguments = [*own, *t_own, *steady, *t_steady]
    start = [*first, *(ops.zeros_like(first[i]) if t[i] is None else t[i] for i in moving)]
    found = _while_loop(
        [*start, *rest, *(t[carries + i] for i in read)],
        test=close(arguments, test(*own, *steady))[0],
        body=close(arguments, [*outputs, *new])[0],
        carries=len(start),
    )
    last = dict(zip(moving, found[carries:], strict=True))
    return tuple([last[i] if i in last else ops.zeros_like(y[i]) for i in range(carries)])


@_while_loop.vmap
def _(mapped: tuple[bool, ...], *operands: Tensor, test: Subgraph, body: Subgraph, carries: int) -> tuple[Tensor, ...]:
    """One loop for as long as the test of any item holds; the items whose own test fails keep their carry."""
    size = next(x.shape[0] for x, m in zip(operands, mapped, strict=True) if m)
    first = [x if m else stacked_first(x, size) for x, m in zip(operands[:carries], mapped, strict=False)]
    flags = (*[True] * carries, *mapped[carries:])
    own = _fresh([*first, *operands[carries:]])
    places = dict(zip(body.parameters, zip(own, flags, strict=True), strict=True))
    (going,), new = batched(test.outputs, places, size), batched(body.outputs, places, size)
    kept = [ops.where(ops.reshape(going, (*going.shape, *[1] * (b.ndim - 1))), b, a) for a, b in zip(own[:carries], new, strict=True)]
    return _while_loop([*first, *operands[carries:]], test=close(own, [ops.any(going)])[0], body=close(own, kept)[0], carries=carries)


# ---------------------------------------------------------------- calls
@op(
    "$body($operands)",
    name="checkpoint",
    jax="$body(*jax.lax.optimization_barrier(($operands,)))",
    raises=True,
    flops=_body_flops("body"),
    text="checkpoint($operands)",
)
def _checkpoint(*operands: TensorType, body: Subgraph) -> Any:
    """A call whose inside is not kept for the backward pass, which computes it again."""
    return body.types


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f``, whose inner values are computed again in the backward pass, not kept for it: less memory for more time.

    The function that is returned takes and returns what ``f`` does: tensors, or tuples, lists and dicts of them
    (Griewank, 1992; Chen et al., 2016).
    """

    def call(*operands: Any) -> Any:
        given, rebuild = tree.flatten(operands)
        inputs = [as_tensor(x) for x in given]
        own = _fresh(inputs)
        results, rebuild_results = tree.flatten(f(*rebuild(own)))
        body, outside = close(own, [as_tensor(y) for y in results])
        return rebuild_results(_checkpoint([*inputs, *outside], body=body))

    return call


@_checkpoint.vjp
def _(g: tuple[Tensor, ...], y: tuple[Tensor, ...], *operands: Tensor, body: Subgraph) -> tuple[Tensor | None, ...]:
    places, told = _inexact(operands), _inexact(y)
    found = _checkpoint([*operands, *(g[i] for i in told)], body=_pulled(body, operands, places, told))
    shares = dict(zip(places, found, strict=True))
    return tuple([shares.get(i) for i in range(len(operands))])


@_checkpoint.jvp
def _(t: tuple[Tensor | None, ...], y: tuple[Tensor, ...], *operands: Tensor, body: Subgraph) -> tuple[Tensor, ...]:
    moved = _moved(t)
    return _checkpoint([*operands, *(t[i] for i in moved)], body=_pushed(body, operands, moved))


@_checkpoint.vmap
def _(mapped: tuple[bool, ...], *operands: Tensor, body: Subgraph) -> tuple[Tensor, ...]:
    size = next(x.shape[0] for x, m in zip(operands, mapped, strict=True) if m)
    return _checkpoint(list(operands), body=_spread_out(body, operands, mapped, size))


@op(None, name="custom", flops=0, text="custom($operands)")
def _custom(*operands: TensorType, body: Subgraph, backward: Subgraph, own: int) -> Any:
    """A call with a gradient of its own. ``backward`` takes the operands and the cotangents of the results."""
    return body.types


@_custom.decompose
def _(*operands: Tensor, body: Subgraph, backward: Subgraph, own: int) -> tuple[Tensor, ...]:
    return tuple(body(*operands))


@_custom.vjp
def _(
    g: tuple[Tensor, ...], y: tuple[Tensor, ...], *operands: Tensor, body: Subgraph, backward: Subgraph, own: int
) -> tuple[Tensor | None, ...]:
    shares = backward(*operands, *g)
    return (
        *[share if dtypes.is_inexact(x.dtype) else None for share, x in zip(shares, operands[:own], strict=True)],
        *[None] * (len(operands) - own),
    )


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function with a gradient of its own, as ``tf.custom_gradient``: ``f(*xs)`` returns ``(y, pullback)``.

    ``pullback(g)`` takes the cotangent of ``y`` (of all of its tensors, in order, as so many arguments) and returns one cotangent for
    each x (a tensor, or a tuple of them). Both are called once for each call of the function, while the graph is built. The gradient
    is a graph, so its own derivatives follow from the ops that it is made of; ``jvp`` transposes it.

    Raises:
        ArgumentError: ``f`` returns something else. ShapeError, DTypeError: a cotangent does not fit its x.
    """

    def call(*operands: Any) -> Any:
        given, rebuild = tree.flatten(operands)
        inputs = [as_tensor(x) for x in given]
        own = _fresh(inputs, "x")
        returned: Any = f(*rebuild(own))
        if not (isinstance(returned, tuple) and len(cast("Any", returned)) == 2 and callable(cast("Any", returned)[1])):
            raise ArgumentError(f"custom_gradient: the function returned {returned!r}", fits="a pair: the result, and its pullback")
        results, rebuild_results = tree.flatten(returned[0])
        outputs = [as_tensor(y) for y in results]
        g = _fresh(outputs, "g")
        shares = [as_tensor(x) for x in tree.flatten(returned[1](*g))[0]]
        _same_types("custom_gradient: the pullback and the operands", shares, inputs)
        both, outside = close([*own, *g], [*outputs, *shares])
        body, backward = _apart(both, len(own), len(g), len(outside), len(outputs))
        return rebuild_results(_custom([*inputs, *outside], body=body, backward=backward, own=len(own)))

    return call


def _apart(both: Subgraph, own: int, g: int, outside: int, results: int) -> tuple[Subgraph, Subgraph]:
    """The value and the pullback, each of the operands (those from outside last), the pullback of the cotangents too."""
    p = both.parameters
    operands, cotangents = [*p[:own], *p[own + g :]], p[own : own + g]
    body = close(operands, both.outputs[:results])[0]
    return body, close([*operands, *cotangents], both.outputs[results:])[0]
