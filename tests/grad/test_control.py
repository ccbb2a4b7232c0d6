"""Loops, branches and calls: values, gradients of two orders and forward mode, beside JAX's own and on both backends."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import graphc as gc
from graphc.core import every_node, toposort
from graphc.testing import check_gradient

rng = np.random.default_rng(0)


class Program(NamedTuple):
    """One program twice, with values for its arguments; both return a scalar."""

    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    values: tuple[Any, ...]


def _normal(*shape: int) -> Any:
    return rng.normal(size=shape)


def _rnn(xp: Any, scan: Any, **how: Any) -> Callable[..., Any]:
    def program(w: Any, h: Any, xs: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            h = xp.tanh(w @ h + x)
            return h, xp.sum(h * x)

        last, ys = scan(step, h, xs, **how)
        return xp.sum(last) + xp.sum(ys * ys)

    return program


def _two_carries(xp: Any, scan: Any) -> Callable[..., Any]:
    """A dict and a tuple as carry, no sequence; a carry that is an integer and chooses."""

    def program(a: Any, b: Any) -> Any:
        def step(carry: Any, _: Any) -> Any:
            count, state = carry["n"], carry["s"]
            u, v = state
            grown = xp.where(xp.equal(count % 2, 0), u * 0.9, u + xp.sin(v))
            return {"n": count + 1, "s": (grown, v * a)}, None

        last, _ = scan(step, {"n": xp.zeros((), "int32"), "s": (b, xp.cos(b))}, None, length=5)
        return xp.sum(last["s"][0] * last["s"][1])

    return program


def _nested(xp: Any, scan: Any) -> Callable[..., Any]:
    """A loop in a loop; the inner body reads the outer carry and a tensor from outside."""

    def program(m: Any, xs: Any) -> Any:
        def outer(c: Any, row: Any) -> Any:
            inner, _ = scan(lambda h, x: (xp.sin(h * x + c) + xp.sum(m), None), c, row)
            return c * 0.5 + inner, inner

        last, ys = scan(outer, xp.sum(xs) * 0.1, xs)
        return last * xp.sum(ys)

    return program


def _branches(xp: Any, cond: Any) -> Callable[..., Any]:
    def program(a: Any, x: Any) -> Any:
        y = cond(xp.sum(a) > 0.0, lambda x: xp.sum(xp.sin(x) * a), lambda x: xp.sum(xp.exp(x)), x)
        z = cond(xp.sum(a) < 0.0, lambda x: x * x, lambda x: x * a, x)
        return y + xp.sum(z)

    return program


PROGRAMS = {
    "rnn": Program(_rnn(gc, gc.scan), _rnn(jnp, jax.lax.scan), (_normal(3, 3), _normal(3), _normal(5, 3))),
    "backwards": Program(
        _rnn(gc, gc.scan, reverse=True), _rnn(jnp, jax.lax.scan, reverse=True), (_normal(3, 3), _normal(3), _normal(5, 3))
    ),
    "one step": Program(_rnn(gc, gc.scan), _rnn(jnp, jax.lax.scan), (_normal(2, 2), _normal(2), _normal(1, 2))),
    "no step": Program(_rnn(gc, gc.scan), _rnn(jnp, jax.lax.scan), (_normal(2, 2), _normal(2), _normal(0, 2))),
    "structures": Program(_two_carries(gc, gc.scan), _two_carries(jnp, jax.lax.scan), (_normal(4), _normal(4))),
    "nested": Program(_nested(gc, gc.scan), _nested(jnp, jax.lax.scan), (_normal(2), _normal(3, 4))),
    "branch": Program(_branches(gc, gc.cond), _branches(jnp, jax.lax.cond), (np.array([1.0, 2.0]), _normal(2))),
    "other branch": Program(_branches(gc, gc.cond), _branches(jnp, jax.lax.cond), (np.array([-1.0, -2.0]), _normal(2))),
    "checkpoint": Program(
        lambda w, x: gc.sum(gc.checkpoint(lambda x: gc.sin(w @ gc.sin(x)))(x) ** 2),
        lambda w, x: jnp.sum(jax.checkpoint(lambda x: jnp.sin(w @ jnp.sin(x)))(x) ** 2),
        (_normal(3, 3), _normal(3)),
    ),
    "map": Program(
        lambda w, xs: gc.sum(gc.map(lambda x: gc.sin(w @ x), xs) ** 2),
        lambda w, xs: jnp.sum(jax.lax.map(lambda x: jnp.sin(w @ x), xs) ** 2),
        (_normal(2, 3), _normal(4, 3)),
    ),
}
every_program = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())


def _declared(program: Program) -> tuple[list[Any], Any]:
    inputs = [gc.input(f"x{i}", value.shape, value.dtype) for i, value in enumerate(program.values)]
    return inputs, program.ours(*inputs)


@every_program
@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_values_and_derivatives_are_jaxs(program: Program, backend: Any) -> None:
    inputs, y = _declared(program)
    directions = [np.random.default_rng(1).normal(size=value.shape) for value in program.values]
    outputs = [y, gc.jvp(y, inputs, directions), *gc.grad(y, inputs), *gc.hvp(y, inputs, directions)]
    found = gc.compile(inputs, outputs, backend=backend)(*program.values)
    with jax.enable_x64(True):
        places = tuple(range(len(inputs)))
        value, moved = jax.jvp(program.theirs, program.values, tuple(directions))
        gradient = jax.grad(program.theirs, places)
        _, second = jax.jvp(gradient, program.values, tuple(directions))
        expected = [value, moved, *gradient(*program.values), *second]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@every_program
def test_gradients_are_the_differences(program: Program) -> None:
    inputs, y = _declared(program)
    assert check_gradient(y, inputs, at=dict(zip(inputs, program.values, strict=True)), order=2)


@every_program
def test_vmap_is_each_item(program: Program) -> None:
    inputs, y = _declared(program)
    stacks = [np.stack([value, value * 0.5, -value]) for value in program.values]
    whole = [gc.input(f"x{i}", stack.shape, stack.dtype) for i, stack in enumerate(stacks)]
    found = gc.compile(whole, gc.vmap(program.ours)(*whole))(*stacks)
    one = gc.compile(inputs, y)
    np.testing.assert_allclose(found, [one(*[stack[i] for stack in stacks]) for i in range(3)], rtol=1e-12)


# ---------------------------------------------------------------- what only loops have
def _long(steps: int) -> tuple[list[Any], list[Any]]:
    h, xs = gc.input("h", (3,), "float64"), gc.input("xs", (steps, 3), "float64")
    last, ys = gc.scan(lambda h, x: (gc.sin(h + x), gc.sum(h)), h, xs)
    y = gc.sum(last) + gc.sum(ys)
    return [h, xs], [y, *gc.grad(y, [h, xs])]


def test_a_thousand_steps_make_the_graph_of_ten() -> None:
    ten, thousand = (every_node(_long(steps)[1]) for steps in (10, 1000))
    assert len(ten) == len(thousand)
    assert len(gc.compile(*_long(10)).source.splitlines()) == len(gc.compile(*_long(1000)).source.splitlines())


def test_the_forward_loop_runs_once_for_value_and_gradient_and_leaves_out_what_nobody_reads() -> None:
    inputs, outputs = _long(10)
    source = gc.compile(inputs, outputs).source
    assert source.count("def loop") == 2
    alone = gc.compile(inputs, outputs[0]).source
    assert alone.count("def loop") == 1
    assert "np.empty((10, 3)" not in alone, "a history that nobody reads was kept"


def test_the_same_loop_written_twice_is_one_node() -> None:
    xs = gc.input("xs", (4, 2))
    h = gc.input("h", (2,))

    def total() -> Any:
        return gc.scan(lambda c, x: (c * x, None), h, xs)[0]

    assert total() is total()


def test_what_a_step_reads_from_outside_is_computed_once() -> None:
    w, xs = gc.input("w", (3,)), gc.input("xs", (4, 3))
    last, _ = gc.scan(lambda c, x: (c + x * gc.exp(w), None), gc.zeros((3,)), xs)
    (loop,) = [node for node in toposort([last]) if node.op and node.op.name == "scan"]
    assert "exp" not in {node.op.name for node in loop.attributes["body"].nodes if node.op}


def test_a_length_may_be_a_name() -> None:
    xs = gc.input("xs", ("time", 2), "float64")
    last, ys = gc.scan(lambda c, x: (c + x, c), gc.zeros((2,), "float64"), xs)
    assert str(ys.shape[0]) == "time"
    run = gc.compile([xs], [last, ys, gc.grad(gc.sum(ys), xs)])
    for steps in (1, 4):
        value = rng.normal(size=(steps, 2))
        last_value, ys_value, g = run(value)
        np.testing.assert_allclose(last_value, value.sum(0))
        np.testing.assert_allclose(ys_value, np.cumsum(value, 0) - value)
        np.testing.assert_allclose(g, np.repeat(np.arange(steps)[::-1, None], 2, 1))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("truncate", [1, 2, 3, 7])
def test_truncated_gradients_stop_between_chunks(truncate: int, reverse: bool) -> None:
    """The same as chunks of loops with stop_gradient between them."""
    a, xs = gc.input("a", (), "float64"), gc.input("xs", (7,), "float64")

    def step(c: Any, x: Any) -> Any:
        c = gc.sin(a * c + x)
        return c, c * x

    _, ys = gc.scan(step, gc.constant(0.3, "float64"), xs, reverse=reverse, truncate=truncate)
    carry, parts, order = gc.constant(0.3, "float64"), [], range(6, -1, -1) if reverse else range(7)
    for number, place in enumerate(order):
        if number % truncate == 0:
            carry = gc.stop_gradient(carry)
        carry, y = step(carry, xs[place])
        parts.append(y)
    values = {a: 0.7, xs: rng.normal(size=7)}
    ours, theirs = gc.grad(gc.sum(ys), [a, xs]), gc.grad(gc.sum(gc.stack(parts)), [a, xs])
    for found, expected in zip(gc.evaluate(ours, values), gc.evaluate(theirs, values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def _newton(x: Any) -> Any:
    """A square root by Newton's steps, for as long as they move."""
    start = (x, x * 0 + 1.0, gc.constant(0, "int32"))
    return gc.while_loop(lambda c: gc.abs(c[1] * c[1] - c[0]) > 1e-12, lambda c: (c[0], 0.5 * (c[1] + c[0] / c[1]), c[2] + 1), start)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_while_loop_and_its_forward_derivative(backend: Any) -> None:
    x = gc.input("x", (), "float64")
    _, root, steps = _newton(x)
    value, slope, count = gc.compile([x], [root, gc.jvp(root, x, 1.0), steps], backend=backend)(2.0)
    np.testing.assert_allclose([value, slope], [np.sqrt(2), 0.5 / np.sqrt(2)], rtol=1e-12)
    assert 3 < count < 10


def test_while_loop_on_many_items_runs_until_all_are_done() -> None:
    xs = gc.input("xs", (3,), "float64")
    roots, steps = gc.vmap(lambda x: _newton(x)[1:])(xs)
    found, counts = gc.compile([xs], [roots, steps])(np.array([1.0, 2.0, 1e6]))
    np.testing.assert_allclose(found, [1, np.sqrt(2), 1e3], rtol=1e-12)
    assert counts[0] == 0
    assert counts[2] > counts[1]


def test_while_loop_has_no_reverse_mode_and_says_what_has() -> None:
    x = gc.input("x", (), "float64")
    with pytest.raises(gc.errors.GradientError, match="how many steps") as caught:
        gc.grad(_newton(x)[1], x)
    assert "gc.scan" in caught.value.fits


def test_only_one_branch_is_computed() -> None:
    i, x = gc.input("i", (), "int64"), gc.input("x", (2,), "float64")
    y = gc.cond(i < 2, lambda x: gc.take(x, i), lambda x: x[0], x)
    run = gc.compile([i, x], y)
    assert run(5, [3.0, 4.0]) == 3.0  # take(x, 5) would have raised


def test_a_branch_under_vmap_with_a_condition_each() -> None:
    x = gc.input("x", (4,), "float64")
    f = gc.vmap(lambda x: gc.cond(x > 0, lambda x: gc.log(x), lambda x: x * 2, x))
    value = np.array([1.0, -1.0, 2.0, 0.0])
    y, g = gc.evaluate([f(x), gc.grad(gc.sum(f(x)), x)], {x: value})
    np.testing.assert_allclose(y, np.where(value > 0, np.log(np.where(value > 0, value, 1)), 2 * value))
    np.testing.assert_allclose(g, np.where(value > 0, 1 / np.where(value > 0, value, 1), 2))


def test_a_checkpoint_computes_its_inside_again_in_the_backward_pass() -> None:
    x = gc.input("x", (3,), "float64")
    y = gc.sum(gc.checkpoint(lambda x: gc.sin(gc.exp(gc.sin(x))))(x))
    source = gc.compile([x], [y, gc.grad(y, x)]).source
    assert len(re.findall(r"\bexp\(", source)) == 2


def test_custom_gradient_takes_the_place_of_the_ops_own() -> None:
    @gc.custom_gradient
    def clipped(x: Any, w: Any) -> Any:
        y = gc.exp(x) * w
        return y, lambda g: (gc.clip(g * y, -1.0, 1.0), gc.zeros_like(w))

    x, w = gc.input("x", (2,), "float64"), gc.input("w", (2,), "float64")
    y = gc.sum(clipped(x, w))
    for backend in ("numpy", "jax"):
        value, dx, dw = gc.compile([x, w], [y, *gc.grad(y, [x, w])], backend=backend)([0.0, 3.0], [0.5, 2.0])
        np.testing.assert_allclose(value, 0.5 + 2 * np.exp(3), rtol=1e-6)
        np.testing.assert_allclose(dx, [0.5, 1.0])
        np.testing.assert_allclose(dw, [0.0, 0.0])
    source = gc.compile([x, w], [y, *gc.grad(y, [x, w])]).source
    assert len(re.findall(r"\bexp\(", source)) == 1, "the pullback shares what the value computed"


def test_loops_on_variables_update_them() -> None:
    w = gc.variable(np.array([1.0, 2.0]), name="w", dtype="float64")
    xs = gc.input("xs", (3, 2), "float64")
    last, _ = gc.scan(lambda c, x: (c * x, None), w, xs)
    for backend in ("numpy", "jax"):
        w.assign([1.0, 2.0])
        step = gc.compile([xs], last, updates={w: last}, backend=backend)
        step(np.full((3, 2), 2.0))
        step(np.full((3, 2), 2.0))
        np.testing.assert_array_equal(w.value, [64.0, 128.0])


# ---------------------------------------------------------------- bad calls
X, XS = gc.input("x", (2,)), gc.input("xs", (3, 2))
BAD: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "the carry changes its shape": (gc.errors.ShapeError, "carry changes", lambda: gc.scan(lambda c, x: (c[:1], None), X, XS)),
    "the carry changes its dtype": (gc.errors.DTypeError, "carry changes", lambda: gc.scan(lambda c, x: (c.astype("f8"), None), X, XS)),
    "no pair": (gc.errors.ArgumentError, "a pair", lambda: gc.scan(lambda c, x: c, X, XS)),
    "no length": (gc.errors.ArgumentError, "nothing to loop over", lambda: gc.scan(lambda c, x: (c, None), X)),
    "two lengths": (gc.errors.ShapeError, "3 and 2 items", lambda: gc.scan(lambda c, x: (c, None), X, [XS, X])),
    "another length": (gc.errors.ShapeError, "3 and 4 items", lambda: gc.scan(lambda c, x: (c, None), X, XS, length=4)),
    "a number as sequence": (gc.errors.ShapeError, "no axis", lambda: gc.scan(lambda c, x: (c, None), X, X[0])),
    "truncate 0": (gc.errors.ArgumentError, "truncate", lambda: gc.scan(lambda c, x: (c, None), X, XS, truncate=0)),
    "a condition that is a float": (gc.errors.DTypeError, "no truth value", lambda: gc.cond(X[0], lambda: X, lambda: X)),
    "a condition with axes": (gc.errors.ShapeError, "has axes", lambda: gc.cond(X > 0, lambda: X, lambda: X)),
    "branches that differ": (gc.errors.ShapeError, "branches", lambda: gc.cond(X[0] > 0, lambda: X, lambda: X[0])),
    "branches that differ in number": (gc.errors.ArgumentError, "1 and 2", lambda: gc.cond(X[0] > 0, lambda: X, lambda: (X, X))),
    "a test that is no truth value": (gc.errors.DTypeError, "no truth value", lambda: gc.while_loop(lambda c: c, lambda c: c, X)),
    "a step of another type": (gc.errors.ShapeError, "different types", lambda: gc.while_loop(lambda c: c[0] > 0, lambda c: c[0], X)),
    "no pullback": (gc.errors.ArgumentError, "pullback", lambda: gc.custom_gradient(lambda x: x)(X)),
    "a pullback of another shape": (gc.errors.ShapeError, "pullback", lambda: gc.custom_gradient(lambda x: (x, lambda g: g[0]))(X)),
    "no axis to map": (gc.errors.ArgumentError, "no argument has", lambda: gc.vmap(lambda x: x, in_axes=None)(X)),
    "as many items": (gc.errors.ShapeError, "2 and 3 items", lambda: gc.vmap(lambda x, y: x)(X, XS)),
}  # fmt: skip


@pytest.mark.parametrize(("error", "text", "call"), BAD.values(), ids=BAD.keys())
def test_bad_calls_say_what_fits(error: Any, text: str, call: Any) -> None:
    with pytest.raises(error, match=text) as caught:
        call()
    assert caught.value.fits


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_kinks_are_told_from_inside_bodies(backend: Any) -> None:
    x = gc.input("x", (3,), "float64")
    bodies = [
        gc.sum(gc.scan(lambda c, v: (c + gc.abs(v), None), gc.constant(0.0, "float64"), x)[0]),
        gc.cond(gc.sum(x) > -9, lambda x: gc.sum(gc.abs(x)), lambda x: gc.sum(x), x),
        gc.sum(gc.checkpoint(gc.abs)(x)),
    ]
    for y in bodies:
        for found in gc.evaluate(
            [gc.grad(y, x, kinks="nan"), gc.jvp(y, x, [1.0, 1.0, 1.0], kinks="nan")], {x: [1.0, 0.0, -2.0]}, backend=backend
        ):
            assert np.isnan(found).any()
        np.testing.assert_array_equal(gc.evaluate(gc.grad(y, x), {x: [1.0, 0.0, -2.0]}, backend=backend), [1, 0, -1])
        with pytest.raises(gc.errors.KinkError if backend == "numpy" else gc.errors.BackendError):
            gc.evaluate(gc.grad(y, x, kinks="raise"), {x: [1.0, 0.0, -2.0]}, backend=backend)
