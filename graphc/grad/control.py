"""Loops, branches and calls: ops whose attributes are graphs. ``control_rules`` has their derivatives, which are such ops again.

``scan`` keeps what its carry was before each step among its results, which the backward loop reads; what nobody reads is left out of
the emitted source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from graphc.core import Subgraph, Tensor, TensorType, as_tensor, close, describe, input, op, sizes, tree
from graphc.core.errors import ArgumentError, DTypeError, ShapeError, entry
from graphc.core.sizes import Dim


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


def fresh(tensors: Sequence[Any], label: str = "p") -> list[Tensor]:
    """An input like each of these, to declare a body with."""
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

    def step(carry, items):
        out = body(*carry, *items, *rest)
        return out[:carries], (*out[carries:], *[carry[j] for j in history])

    xs = operands[carries:carries + sequences]
    carry, ys = jax.lax.scan(step, operands[:carries], xs, length=None if sequences else length, reverse=reverse)
    return (*carry, *ys)
''',
    raises=True,
    flops=_loop_flops,
    text="scan($operands)",
)
def scan_op(
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


def loop_with_history(
    body: Subgraph,
    carry: Sequence[Any],
    xs: Sequence[Any],
    rest: Sequence[Any],
    length: Dim,
    reverse: bool = False,
    truncate: int | None = None,
) -> tuple[Tensor, ...]:
    """The results of a loop with its whole history."""
    return scan_op(
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
    return node.op.apply(node.inputs, tuple(attributes.values()), node), places


scan_op.prune = _without_unread


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
    steps = _length(items, length)
    if truncate is not None and truncate < 1:
        raise ArgumentError(f"scan: truncate={truncate}", fits="a whole number of steps, 1 or more, or None")
    carry, current = fresh(first, "carry"), [input(f"x{i}", x.shape[1:], x.dtype) for i, x in enumerate(items)]
    returned: Any = f(rebuild_carry(carry), rebuild_items(current))
    if not isinstance(returned, tuple) or len(cast("Any", returned)) != 2:
        raise ArgumentError(f"scan: f returned {returned!r}", fits="a pair: the new carry, and the result of the step (or None)")
    new = [as_tensor(x) for x in tree.flatten(returned[0])[0]]
    _refuse_changes(first, new)
    results, rebuild_results = tree.flatten(returned[1])
    body, rest = close([*carry, *current], [*new, *[as_tensor(y) for y in results]])
    found = loop_with_history(body, first, items, rest, steps, reverse, truncate)
    n = len(carry)
    return rebuild_carry(found[:n]), rebuild_results(found[n : n + len(results)])


def _refuse_changes(first: Sequence[Tensor], new: Sequence[Tensor]) -> None:
    if len(first) != len(new):
        raise ArgumentError(f"scan: the carry has {len(first)} tensors, and f returns {len(new)}", fits="the structure of init")
    for before, after in zip(first, new, strict=True):
        if before.type is not after.type:
            error = ShapeError if before.shape != after.shape else DTypeError
            raise error(
                "scan: the carry changes its type from one step to the next",
                given=[f"init: {describe(before)}", f"f returns: {describe(after)}"],
                fits=f"{before.type}; gc.cast, gc.broadcast_to or another init",
            )


def _length(items: Sequence[Tensor], length: Any) -> Dim:
    for x in items:
        if not x.shape:
            raise ShapeError("scan: a sequence has no axis to loop over", given=[describe(x)], fits="at least one axis")
    found = list(dict.fromkeys([x.shape[0] for x in items] + ([] if length is None else [sizes.canonical((length,))[0]])))
    if len(found) > 1:
        raise ShapeError(
            f"scan: the sequences have {' and '.join([str(n) for n in found])} items",
            given=[describe(x) for x in items],
            fits="one length",
        )
    if not found:
        raise ArgumentError("scan: there is nothing to loop over", fits="xs, or length=")
    return found[0]


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
def cond_op(*operands: TensorType, on_true: Subgraph, on_false: Subgraph) -> Any:
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
    stand_ins = fresh(inputs)
    branches = [f(*rebuild(stand_ins)) for f in (true_fn, false_fn)]
    (one, rebuild_result), (other, _) = (tree.flatten(branch) for branch in branches)
    one, other = [as_tensor(x) for x in one], [as_tensor(x) for x in other]
    _same_types("cond: the branches", one, other)
    both, outside = close(stand_ins, [*one, *other])
    types = [p.type for p in both.parameters]
    n = len(one)
    found = cond_op([chosen, *inputs, *outside], on_true=Subgraph(types, both.outputs[:n]), on_false=Subgraph(types, both.outputs[n:]))
    return rebuild_result(found)


def _same_types(what: str, ones: Sequence[Tensor], others: Sequence[Tensor]) -> None:
    if len(ones) != len(others):
        raise ArgumentError(f"{what} return {len(ones)} and {len(others)} tensors", fits="the same structure")
    for one, other in zip(ones, others, strict=True):
        if one.type is not other.type:
            error = DTypeError if one.shape == other.shape else ShapeError
            raise error(f"{what} return different types", given=[describe(one), describe(other)], fits="the same shape and dtype")


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
def while_op(*operands: TensorType, test: Subgraph, body: Subgraph, carries: int) -> Any:
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
    carry = fresh(first, "carry")
    test = as_tensor(cond_fun(rebuild(carry)))
    if (test.dtype, test.shape) != ("bool", ()):
        raise DTypeError("while_loop: cond_fun returns no truth value", given=[describe(test)], fits="bool[]; a comparison")
    new = [as_tensor(x) for x in tree.flatten(body_fun(rebuild(carry)))[0]]
    _same_types("while_loop: init and body_fun", first, new)
    both, outside = close(carry, [test, *new])
    types = [p.type for p in both.parameters]
    found = while_op([*first, *outside], test=Subgraph(types, both.outputs[:1]), body=Subgraph(types, both.outputs[1:]), carries=len(first))
    return rebuild(found)


# ---------------------------------------------------------------- calls
@op(
    "$body($operands)",
    name="checkpoint",
    jax="$body(*jax.lax.optimization_barrier(($operands,)))",
    raises=True,
    flops=_body_flops("body"),
    text="checkpoint($operands)",
)
def checkpoint_op(*operands: TensorType, body: Subgraph) -> Any:
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
        own = fresh(inputs)
        results, rebuild_results = tree.flatten(f(*rebuild(own)))
        body, outside = close(own, [as_tensor(y) for y in results])
        return rebuild_results(checkpoint_op([*inputs, *outside], body=body))

    return entry(call)


@op(None, name="custom", flops=0, text="custom($operands)")
def custom_op(*operands: TensorType, body: Subgraph, backward: Subgraph, own: int) -> Any:
    """A call with a gradient of its own. ``backward`` takes the operands and the cotangents of the results."""
    return body.types


@custom_op.decompose
def _(*operands: Tensor, body: Subgraph, backward: Subgraph, own: int) -> tuple[Tensor, ...]:
    return tuple(body(*operands))


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
        own = fresh(inputs, "x")
        returned: Any = f(*rebuild(own))
        if not (isinstance(returned, tuple) and len(cast("Any", returned)) == 2 and callable(cast("Any", returned)[1])):
            raise ArgumentError(f"custom_gradient: the function returned {returned!r}", fits="a pair: the result, and its pullback")
        results, rebuild_results = tree.flatten(returned[0])
        outputs = [as_tensor(y) for y in results]
        g = fresh(outputs, "g")
        shares = [as_tensor(x) for x in tree.flatten(returned[1](*g))[0]]
        _same_types("custom_gradient: the pullback and the operands", shares, inputs)
        both, outside = close([*own, *g], [*outputs, *shares])
        body, backward = _apart(both, len(own), len(g), len(outside), len(outputs))
        return rebuild_results(custom_op([*inputs, *outside], body=body, backward=backward, own=len(own)))

    return entry(call)


def _apart(both: Subgraph, own: int, g: int, outside: int, results: int) -> tuple[Subgraph, Subgraph]:
    """The value and the pullback, each of the operands (those from outside last), the pullback of the cotangents too."""
    p = both.parameters
    operands, cotangents = [*p[:own], *p[own + g :]], p[own : own + g]
    body = close(operands, both.outputs[:results])[0]
    return body, close([*operands, *cotangents], both.outputs[results:])[0]
