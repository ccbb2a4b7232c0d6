"""How derivatives and stacks pass loops, branches and calls: their VJPs, JVPs and ``vmap`` rules, which make such ops again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc import ops
from graphc.core import Subgraph, Tensor, TensorType, close, describe, dtypes, input
from graphc.core.errors import GradientError
from graphc.core.sizes import Dim
from graphc.grad.batch import batched, stacked_first
from graphc.grad.control import checkpoint_op, cond_op, custom_op, fresh, loop_with_history, scan_op, while_op
from graphc.grad.forward import tangents_of
from graphc.grad.reverse import or_zeros, pullback


# ---------------------------------------------------------------- bodies
def _inexact(types: Sequence[Any]) -> list[int]:
    """The places of those that carry gradients."""
    return [i for i, x in enumerate(types) if dtypes.is_inexact(x.dtype)]


def _pulled(body: Subgraph, inputs: Sequence[Tensor], places: Sequence[int], told: Sequence[int]) -> Subgraph:
    """The pullback of a body: a body of its arguments and of the cotangents of the results in ``told``."""
    own = fresh(inputs)
    results = body(*own)
    outputs = [results[i] for i in told]
    g = fresh(outputs, "g")
    return close([*own, *g], pullback(outputs, g, [own[i] for i in places]))[0]


def _pushed(body: Subgraph, inputs: Sequence[Tensor], moved: Sequence[int]) -> Subgraph:
    """The pushforward of a body: a body of its arguments and of the tangents of those in ``moved``, to the tangents of all results."""
    own = fresh(inputs)
    t = fresh([inputs[i] for i in moved], "t")
    return close([*own, *t], tangents_of(body(*own), dict(zip([own[i] for i in moved], t, strict=True))))[0]


def _spread_out(body: Subgraph, inputs: Sequence[Tensor], mapped: Sequence[bool], size: Dim) -> Subgraph:
    """The body on stacks: those of its arguments that are mapped have a first axis more, and all results do."""
    own = fresh(inputs)
    return close(own, _stacks(body, own, mapped, size))[0]


def _stacks(body: Subgraph, arguments: Sequence[Tensor], mapped: Sequence[bool], size: Dim) -> list[Tensor]:
    """The results of a body on stacks, each with the new axis first."""
    return batched(body.outputs, dict(zip(body.parameters, zip(arguments, mapped, strict=True), strict=True)), size)


def _items(mapped: Sequence[bool], operands: Sequence[Tensor]) -> Dim:
    """How many items the stacks among the operands have."""
    return next(x.shape[0] for x, m in zip(operands, mapped, strict=True) if m)


def _item_by_item(chosen: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The items of one stack or of the other, as each chooses."""
    return ops.where(ops.reshape(chosen, (*chosen.shape, *[1] * (a.ndim - 1))), a, b)


def _at(places: Sequence[int], shares: Sequence[Tensor], count: int) -> list[Tensor | None]:
    """The shares of so many operands, of which those at the places have one."""
    found = dict(zip(places, shares, strict=True))
    return [found.get(i) for i in range(count)]


def _moved(t: Sequence[Tensor | None]) -> list[int]:
    return [i for i, x in enumerate(t) if x is not None]


# ---------------------------------------------------------------- scan
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
        return fresh(self.init, "carry"), items, fresh(self.rest, "w")


@scan_op.vjp
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
    g_carry, g_rest = fresh([p.init[i] for i in p.moving], "g"), fresh([p.rest[i] for i in p.reading], "gw")
    g_results, g_before = fresh([p.results[i] for i in p.told], "gy"), fresh([p.init[i] for i in p.moving], "gh")
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
    done = loop_with_history(backward, start, [*remembered, *p.xs, *told, *held, *numbers], [*p.rest, *outside], length, not reverse)
    places = [*p.moving, *(carries + sequences + i for i in p.reading), *(carries + i for i in p.fed)]
    return tuple(_at(places, done[: len(places)], len(operands)))


def _cut(shares: list[Tensor], length: Dim, reverse: bool, truncate: int | None) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """The shares of the carry, 0 at the steps where the gradient stops; the numbers of the steps, and the one of this step."""
    if truncate is None:
        return shares, [], []
    numbers, number = ops.arange(length, dtype="int64"), input("step", (), "int64")
    first = ops.equal(number % truncate, 0)
    return [ops.where(first, 0, share) for share in shares], [ops.flip(numbers, axis=0) if reverse else numbers], [number]


@scan_op.jvp
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
    tangents = tangents_of(outputs, {x: tangent_of[i] for i in moved if (x := given[i]) is not None})
    m = carries + sequences
    at = [[i for i in moved if low <= i < high] for low, high in ((0, carries), (carries, m), (m, len(given)))]
    t_carry, t_items, t_rest = ([tangent_of[i] for i in group] for group in at)
    forward, outside = close(
        [*before, *t_carry, *items, *t_items, *rest, *t_rest],
        [*outputs[:carries], *(tangents[i] for i in at[0]), *outputs[carries:], *tangents[carries:]],
    )
    start = [*p.init, *(or_zeros(t[i], p.init[i]) for i in at[0])]
    done = loop_with_history(
        forward, start, [*p.xs, *(t[i] for i in at[1])], [*p.rest, *(t[i] for i in at[2]), *outside], length, reverse, truncate
    )
    n, k = len(start), len(p.results)
    last = dict(zip(at[0], done[carries:n], strict=True))
    remembered = dict(zip(at[0], done[n + 2 * k + carries :], strict=True))
    return (
        *[or_zeros(last.get(i), y[i]) for i in range(carries)],
        *done[n + k : n + 2 * k],
        *[or_zeros(remembered.get(j), y[carries + k + i]) for i, j in enumerate(history)],
    )


@scan_op.vmap
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
    size = _items(mapped, operands)
    p = _Places(operands, body, carries, sequences)
    start = [x if m else stacked_first(x, size) for x, m in zip(p.init, mapped, strict=False)]
    xs = [ops.swapaxes(x, 0, 1) if m else x for x, m in zip(p.xs, mapped[carries:], strict=False)]
    inner = [
        *fresh(start, "carry"),
        *[input(f"x{i}", x.shape[1:], x.dtype) for i, x in enumerate(xs)],
        *fresh(p.rest, "w"),
    ]
    flags = (*[True] * carries, *mapped[carries:])
    wide, outside = close(inner, _stacks(body, inner, flags, size))
    done = loop_with_history(wide, start, xs, [*p.rest, *outside], length, reverse, truncate)
    k = carries + len(p.results)
    remembered = [done[k + j] for j in history]
    return (*done[:carries], *[ops.swapaxes(y, 0, 1) for y in (*done[carries:k], *remembered)])


# ---------------------------------------------------------------- cond
@cond_op.vjp
def _(g: tuple[Tensor, ...], y: tuple[Tensor, ...], *operands: Tensor, on_true: Subgraph, on_false: Subgraph) -> tuple[Tensor | None, ...]:
    chosen, inputs = operands[0], operands[1:]
    places = _inexact(inputs)
    told = _inexact(y)
    found = cond_op(
        [chosen, *inputs, *(g[i] for i in told)],
        on_true=_pulled(on_true, inputs, places, told),
        on_false=_pulled(on_false, inputs, places, told),
    )
    return (None, *_at(places, found, len(inputs)))


@cond_op.jvp
def _(t: tuple[Tensor | None, ...], y: tuple[Tensor, ...], *operands: Tensor, on_true: Subgraph, on_false: Subgraph) -> tuple[Tensor, ...]:
    chosen, inputs, moved = operands[0], operands[1:], _moved(t[1:])
    return cond_op(
        [chosen, *inputs, *(t[1 + i] for i in moved)], on_true=_pushed(on_true, inputs, moved), on_false=_pushed(on_false, inputs, moved)
    )


@cond_op.vmap
def _(mapped: tuple[bool, ...], *operands: Tensor, on_true: Subgraph, on_false: Subgraph) -> tuple[Tensor, ...]:
    """Where each item chooses for itself, both branches are computed, and ``where`` picks."""
    chosen, inputs = operands[0], operands[1:]
    size = _items(mapped, operands)
    branches = [_spread_out(body, inputs, mapped[1:], size) for body in (on_true, on_false)]
    if not mapped[0]:
        return cond_op([chosen, *inputs], on_true=branches[0], on_false=branches[1])
    return tuple([_item_by_item(chosen, a, b) for a, b in zip(branches[0](*inputs), branches[1](*inputs), strict=True)])


# ---------------------------------------------------------------- while_loop
@while_op.vjp
def _(g: Any, y: Any, *operands: Tensor, test: Subgraph, body: Subgraph, carries: int) -> Any:
    raise GradientError(
        "while_loop has no reverse mode: how many steps to go back is not known before the call",
        given=[f"carry: {describe(x)}" for x in operands[:carries]],
        fits="gc.scan with a fixed number of steps; gc.jvp; gc.stop_gradient around the result",
    )


@while_op.jvp
def _(
    t: tuple[Tensor | None, ...], y: tuple[Tensor, ...], *operands: Tensor, test: Subgraph, body: Subgraph, carries: int
) -> tuple[Tensor, ...]:
    first, rest = operands[:carries], operands[carries:]
    moving, read = _inexact(first), _moved(t[carries:])
    own, steady = fresh(first, "carry"), fresh(rest, "w")
    t_own, t_steady = fresh([first[i] for i in moving], "t"), fresh([rest[i] for i in read], "tw")
    outputs = body(*own, *steady)
    moved = dict(zip([*(own[i] for i in moving), *(steady[i] for i in read)], [*t_own, *t_steady], strict=True))
    new = tangents_of([outputs[i] for i in moving], moved)
    arguments = [*own, *t_own, *steady, *t_steady]
    start = [*first, *(or_zeros(t[i], first[i]) for i in moving)]
    found = while_op(
        [*start, *rest, *(t[carries + i] for i in read)],
        test=close(arguments, test(*own, *steady))[0],
        body=close(arguments, [*outputs, *new])[0],
        carries=len(start),
    )
    last = dict(zip(moving, found[carries:], strict=True))
    return tuple([or_zeros(last.get(i), y[i]) for i in range(carries)])


@while_op.vmap
def _(mapped: tuple[bool, ...], *operands: Tensor, test: Subgraph, body: Subgraph, carries: int) -> tuple[Tensor, ...]:
    """One loop for as long as the test of any item holds; the items whose own test fails keep their carry."""
    size = _items(mapped, operands)
    first = [x if m else stacked_first(x, size) for x, m in zip(operands[:carries], mapped, strict=False)]
    flags = (*[True] * carries, *mapped[carries:])
    own = fresh([*first, *operands[carries:]])
    (going,), new = _stacks(test, own, flags, size), _stacks(body, own, flags, size)
    kept = [_item_by_item(going, after, before) for before, after in zip(own[:carries], new, strict=True)]
    return while_op([*first, *operands[carries:]], test=close(own, [ops.any(going)])[0], body=close(own, kept)[0], carries=carries)


# ---------------------------------------------------------------- calls
@checkpoint_op.vjp
def _(g: tuple[Tensor, ...], y: tuple[Tensor, ...], *operands: Tensor, body: Subgraph) -> tuple[Tensor | None, ...]:
    places, told = _inexact(operands), _inexact(y)
    found = checkpoint_op([*operands, *(g[i] for i in told)], body=_pulled(body, operands, places, told))
    return tuple(_at(places, found, len(operands)))


@checkpoint_op.jvp
def _(t: tuple[Tensor | None, ...], y: tuple[Tensor, ...], *operands: Tensor, body: Subgraph) -> tuple[Tensor, ...]:
    moved = _moved(t)
    return checkpoint_op([*operands, *(t[i] for i in moved)], body=_pushed(body, operands, moved))


@checkpoint_op.vmap
def _(mapped: tuple[bool, ...], *operands: Tensor, body: Subgraph) -> tuple[Tensor, ...]:
    return checkpoint_op(list(operands), body=_spread_out(body, operands, mapped, _items(mapped, operands)))


@custom_op.vjp
def _(
    g: tuple[Tensor, ...], y: tuple[Tensor, ...], *operands: Tensor, body: Subgraph, backward: Subgraph, own: int
) -> tuple[Tensor | None, ...]:
    shares = backward(*operands, *g)
    return (
        *[share if dtypes.is_inexact(x.dtype) else None for share, x in zip(shares, operands[:own], strict=True)],
        *[None] * (len(operands) - own),
    )
