"""Moving elements and making them: NumPy's own functions on the same arguments, named sizes, refusals."""

import itertools
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.testing import check_gradient

both = pytest.mark.parametrize("backend", ["numpy", "jax"])
Build = Any  # of a namespace, gc or np, and a tensor or array

MOVES: dict[str, tuple[Build, tuple[int, ...]]] = {
    "ravel": (lambda m, x: m.ravel(x), (2, 3)),
    "ravel of a number": (lambda m, x: m.ravel(x), ()),
    "swapaxes": (lambda m, x: m.swapaxes(x, 0, -1), (2, 3, 4)),
    "swapaxes, the same": (lambda m, x: m.swapaxes(x, 1, 1), (2, 3)),
    "moveaxis": (lambda m, x: m.moveaxis(x, 0, -1), (2, 3, 4)),
    "moveaxis, nowhere": (lambda m, x: m.moveaxis(x, 1, 1), (2, 3)),
    "moveaxis, several": (lambda m, x: m.moveaxis(x, (0, 1), (-1, 0)), (2, 3, 4)),
    "split": (lambda m, x: m.split(x, 3), (6,)),
    "split, axis": (lambda m, x: m.split(x, 2, axis=-1), (2, 4)),
    "split at": (lambda m, x: m.split(x, [1, 3], axis=0), (5, 2)),
    "split at what is beyond": (lambda m, x: m.split(x, (-2, 4, 9)), (5,)),
    "split, the last before the first": (lambda m, x: m.split(x, (3, 1)), (5,)),
    "unstack": (lambda m, x: m.unstack(x), (3, 2)),
    "unstack, axis": (lambda m, x: m.unstack(x, axis=-1), (3, 2)),
    "tile": (lambda m, x: m.tile(x, 2), (2, 3)),
    "tile, several": (lambda m, x: m.tile(x, (2, 3)), (2, 3)),
    "tile, new axes": (lambda m, x: m.tile(x, (2, 1, 3)), (3,)),
    "tile, fewer": (lambda m, x: m.tile(x, (2,)), (2, 1, 3)),
    "tile, none": (lambda m, x: m.tile(x, 0), (2, 3)),
    "tile a number": (lambda m, x: m.tile(x, 3), ()),
    "repeat": (lambda m, x: m.repeat(x, 3, axis=1), (2, 3)),
    "repeat, raveled": (lambda m, x: m.repeat(x, 2), (2, 3)),
    "repeat, none": (lambda m, x: m.repeat(x, 0, axis=0), (2, 3)),
    "flip": (lambda m, x: m.flip(x), (2, 3)),
    "flip, axis": (lambda m, x: m.flip(x, axis=-1), (2, 3)),
    "flip, axes": (lambda m, x: m.flip(x, axis=(0, 2)), (2, 3, 4)),
    "flip a number": (lambda m, x: m.flip(x), ()),
    "roll": (lambda m, x: m.roll(x, 2), (2, 3)),
    "roll, far": (lambda m, x: m.roll(x, -7, axis=0), (3, 2)),
    "roll, several": (lambda m, x: m.roll(x, (1, 1), axis=(0, 0)), (3, 2)),
    "roll, one shift": (lambda m, x: m.roll(x, 1, axis=(0, 1)), (3, 2)),
    "diag": (lambda m, x: m.diag(x), (3,)),
    "diag above": (lambda m, x: m.diag(x, 2), (3,)),
    "diag below": (lambda m, x: m.diag(x, k=-1), (0,)),
    "diag of a matrix": (lambda m, x: m.diag(x, k=-1), (3, 4)),
    "diagonal": (lambda m, x: m.diagonal(x, 1, 2, 0), (3, 2, 4)),
    "tril": (lambda m, x: m.tril(x, -1), (2, 3, 3)),
    "triu": (lambda m, x: m.triu(x, 1), (3, 4)),
    "meshgrid": (lambda m, x: m.meshgrid(x, x[:2]), (3,)),
    "meshgrid, ij": (lambda m, x: m.meshgrid(x, x[:2], x[1:], indexing="ij"), (3,)),
    "meshgrid, sparse": (lambda m, x: m.meshgrid(x, x[:2], x[1:], sparse=True), (3,)),
    "meshgrid of one": (lambda m, x: m.meshgrid(x), (3,)),
    "meshgrid of nothing": (lambda m, x: m.meshgrid(), (3,)),
    "pad": (lambda m, x: m.pad(x, 1), (2, 3)),
    "pad, a pair": (lambda m, x: m.pad(x, (1, 2)), (2, 3)),
    "pad, pairs": (lambda m, x: m.pad(x, ((0, 0), (2, 1))), (2, 3)),
    "pad nothing": (lambda m, x: m.pad(x, 2), (0, 3)),
    "pad a number": (lambda m, x: m.pad(x, ()) if m is np else m.pad(x, 1), ()),
    "pad with numbers": (lambda m, x: m.pad(x, ((1, 0), (2, 1)), constant_values=((3.0, 4.0), (5.0, 6.0))), (2, 3)),
    "pad with a number": (lambda m, x: m.pad(x, 1, mode="constant", constant_values=2.5), (2, 3)),
} | {
    f"pad, {mode} {size} by {width}": (lambda m, x, mode=mode, width=width: m.pad(x, (width, (0, 1)), mode=mode), (size, 2))
    for mode, size, width in itertools.product(("edge", "reflect", "symmetric", "wrap"), (1, 2, 4), ((1, 0), (2, 3), (9, 5)))
}  # fmt: skip


def leaves(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


@both
def test_moves_are_numpys(backend: str) -> None:
    """All in one compiled function, since ``jax.jit`` of one at a time takes a minute."""
    rng = np.random.default_rng(0)
    inputs, values, outputs, expected = [], [], [], []
    for build, shape in MOVES.values():
        inputs.append(gc.input("x", shape, "float64"))
        values.append(rng.normal(size=shape))
        own = leaves(build(gc, inputs[-1]))
        theirs = leaves(values[-1] if build is MOVES["pad a number"][0] else build(np, values[-1]))
        assert [y.shape for y in own] == [np.shape(y) for y in theirs]
        outputs += own
        expected += theirs
    for found, exact in zip(gc.compile(inputs, outputs, backend=backend)(*values), expected, strict=True):
        np.testing.assert_array_equal(found, exact)


@pytest.mark.parametrize("name", [name for name, (_, shape) in MOVES.items() if "(9, 5)" not in name and 0 not in shape])
def test_gradients_of_moves_are_their_adjoints(name: str) -> None:
    build, shape = MOVES[name]
    x = gc.input("x", shape, "float64")
    outputs = [y for y in leaves(build(gc, x)) if y.size]
    if outputs:
        assert check_gradient(gc.concatenate([gc.ravel(y) for y in outputs]), x)


NAMED: dict[str, Build] = {
    "ravel": lambda m, x: m.ravel(x),
    "swapaxes": lambda m, x: m.swapaxes(x, 0, 1),
    "split": lambda m, x: m.split(m.tile(x, (3, 1)), 3),
    "split at": lambda m, x: m.split(x, [1, 2]),
    "tile": lambda m, x: m.tile(x, (2, 3)),
    "repeat": lambda m, x: m.repeat(x, 2, axis=0),
    "repeat, raveled": lambda m, x: m.repeat(x, 2),
    "flip": lambda m, x: m.flip(x),
    "roll": lambda m, x: m.roll(x, 4, axis=0),
    "roll, raveled": lambda m, x: m.roll(x, -1),
    "diag": lambda m, x: m.diag(x[:, 0], 1),
    "diagonal": lambda m, x: m.diagonal(m.matmul(x, x.T)),
    "tril": lambda m, x: m.tril(x),
    "meshgrid": lambda m, x: m.meshgrid(x[:, 0], x[0]),
    "pad": lambda m, x: m.pad(x, 1),
    "pad with ones": lambda m, x: m.pad(x, 1, constant_values=1.0),
    "pad, edge": lambda m, x: m.pad(x, 1, mode="edge"),
    "pad the other axis": lambda m, x: m.pad(x, ((0, 0), (1, 1)), mode="reflect"),
    "arange": lambda m, x: x + m.arange(x.shape[0])[:, None],
    "arange from 1": lambda m, x: m.arange(1, x.shape[0], 2) + m.sum(x),
    "linspace": lambda m, x: x + m.linspace(0.0, 1.0, x.shape[0], dtype="float64")[:, None],
    "eye": lambda m, x: m.eye(x.shape[0], dtype="float64") @ x,
    "eye, columns": lambda m, x: m.eye(2, x.shape[0], 1, "float64") @ x,
    "tri": lambda m, x: m.tri(x.shape[0], dtype="float64") @ x,
    "full_like": lambda m, x: m.full_like(x, 2.0) + x,
}


@pytest.mark.parametrize("name", NAMED)
def test_a_named_size_is_as_good_as_a_number(name: str) -> None:
    x = gc.input("x", ("n", 2), "float64")
    outputs = leaves(NAMED[name](gc, x))
    run = gc.compile([x], outputs)
    gradient = gc.compile([x], gc.grad(gc.add(*[gc.sum(y) for y in (outputs * 2)[:2]]), x))
    for n in (1, 2, 5):
        point = np.random.default_rng(n).normal(size=(n, 2))
        for found, exact in zip(run(point), leaves(NAMED[name](np, point)), strict=True):
            np.testing.assert_allclose(found, exact, rtol=1e-14)
        assert gradient(point).shape == (n, 2)


def test_a_tensor_is_cut_at_named_sizes() -> None:
    x, y = gc.input("x", ("n", 2)), gc.input("y", ("m", 2))
    first, second = gc.split(gc.concatenate([x, y]), ["n"])
    assert (first.shape, second.shape) == (x.shape, y.shape)
    values = np.ones((3, 2), "float32"), np.zeros((4, 2), "float32")
    for found, exact in zip(gc.compile([x, y], [first, second])(*values), values, strict=True):
        np.testing.assert_array_equal(found, exact)


# ---------------------------------------------------------------- creation
CREATED: dict[str, Build] = {
    "arange": lambda m: m.arange(5),
    "arange, bounds": lambda m: m.arange(2, 9, 3),
    "arange, backwards": lambda m: m.arange(9, 2, -2),
    "arange, nothing": lambda m: m.arange(3, 1),
    "arange, fractions": lambda m: m.arange(0.0, 1.0, 0.3, "float64"),
    "arange, float32": lambda m: m.arange(4, dtype="float32"),
    "arange, float16": lambda m: m.arange(-1.5, 1.5, 0.5, "float16"),
    "arange, uint8": lambda m: m.arange(200, 203, dtype="uint8"),
    "linspace": lambda m: m.linspace(-1.0, 2.0, 7, dtype="float64"),
    "linspace, open": lambda m: m.linspace(0, 1, 5, endpoint=False, dtype="float32"),
    "linspace, one": lambda m: m.linspace(3, 4, 1, dtype="float32"),
    "eye": lambda m: m.eye(3, dtype="float32"),
    "eye, wide": lambda m: m.eye(2, 5, 2, "int32"),
    "eye, off": lambda m: m.eye(2, 2, -7, "bool"),
    "tri": lambda m: m.tri(3, 4, 1, "float32"),
    "full_like": lambda m: m.full_like(np.zeros((2, 3), "int32"), 7),
    "full_like, dtype": lambda m: m.full_like(np.zeros((2, 3), "int32"), 2.5, dtype="float64"),
}


@both
def test_creations_are_numpys(backend: str) -> None:
    for found, name in zip(gc.compile([], [build(gc) for build in CREATED.values()], backend=backend)(), CREATED, strict=True):
        exact = CREATED[name](np)
        assert (str(found.dtype), found.shape) == (exact.dtype.name, exact.shape), name
        np.testing.assert_allclose(found, exact, rtol=1e-6 if exact.dtype == "float32" else 1e-14, atol=1e-15, err_msg=name)


def test_the_default_dtypes_are_graphcs() -> None:
    assert gc.arange(3).dtype == "int64"
    assert gc.arange(0.5, 3).dtype == gc.linspace(0, 1, 3).dtype == gc.eye(2).dtype == gc.tri(2).dtype == "float32"


def test_linspace_between_tensors_has_a_gradient() -> None:
    a, b = gc.input("a", (2,), "float64"), gc.input("b", (), "float64")
    y = gc.linspace(a, b, 5, dtype="float64")
    np.testing.assert_allclose(gc.evaluate(y, {a: [0, 1], b: 2.0}), np.linspace([0, 1], 2.0, 5), rtol=1e-15)
    assert check_gradient(y, [a, b])


# ---------------------------------------------------------------- methods
def test_methods_are_the_functions() -> None:
    x = gc.input("x", (2, 3))
    for name in ("ravel", "prod", "var", "std", "cumsum", "cumprod", "any", "all", "argmax", "argmin", "round", "conj"):
        assert getattr(x, name)() is getattr(gc, name)(x)
    assert x.cumsum(axis=1) is gc.cumsum(x, axis=1)
    assert x.cumprod(0) is gc.cumprod(x, axis=0)
    assert x.flatten() is gc.ravel(x)
    assert x.clip(0, 1) is gc.clip(x, 0, 1)
    assert x.std(axis=0, ddof=1) is gc.std(x, axis=0, ddof=1)


# ---------------------------------------------------------------- refusals
X, N = gc.input("x", (2, 6)), gc.input("x", ("n", "m"))
REFUSED: dict[str, tuple[Any, Any]] = {
    "moveaxis": (lambda: gc.moveaxis(X, (0, 1), 0), gc.errors.ArgumentError),
    "moveaxis, no such axis": (lambda: gc.moveaxis(X, 2, 0), gc.errors.ArgumentError),
    "swapaxes": (lambda: gc.swapaxes(X, 0, 2), gc.errors.ArgumentError),
    "split": (lambda: gc.split(X, 4, axis=1), gc.errors.ShapeError),
    "split in none": (lambda: gc.split(X, 0, axis=1), gc.errors.ShapeError),
    "split a name": (lambda: gc.split(N, 2), gc.errors.ShapeError),
    "unstack": (lambda: gc.unstack(N), gc.errors.ShapeError),
    "tile": (lambda: gc.tile(X, -1), gc.errors.ShapeError),
    "repeat": (lambda: gc.repeat(X, 1.5, axis=0), gc.errors.ShapeError),
    "flip": (lambda: gc.flip(X, axis=(0, 0)), gc.errors.ArgumentError),
    "roll": (lambda: gc.roll(X, (1, 2, 3), axis=(0, 1)), gc.errors.ArgumentError),
    "roll by a fraction": (lambda: gc.roll(X, 0.5), gc.errors.ArgumentError),
    "meshgrid": (lambda: gc.meshgrid(X, indexing="yx"), gc.errors.ArgumentError),
    "pad, mode": (lambda: gc.pad(X, 1, mode="mirror"), gc.errors.ArgumentError),
    "pad, widths": (lambda: gc.pad(X, ((1, 2), (3, 4), (5, 6))), gc.errors.ArgumentError),
    "pad, negative": (lambda: gc.pad(X, -1), gc.errors.ArgumentError),
    "pad, a name": (lambda: gc.pad(N, 1, mode="wrap"), gc.errors.ShapeError),
    "pad, nothing": (lambda: gc.pad(gc.zeros((0, 2)), 1, mode="edge"), gc.errors.ShapeError),
    "diag": (lambda: gc.diag(gc.zeros((1, 2, 3))), gc.errors.ShapeError),
    "diagonal": (lambda: gc.diagonal(X, axis1=1, axis2=1), gc.errors.ArgumentError),
    "diagonal, names": (lambda: gc.diagonal(N), gc.errors.ShapeError),
    "diagonal, perhaps too short": (lambda: gc.diagonal(gc.matmul(N, N.T), 1), gc.errors.ShapeError),
    "tril": (lambda: gc.tril(X[0]), gc.errors.ShapeError),
    "triu": (lambda: gc.triu(X[0]), gc.errors.ShapeError),
    "arange": (lambda: gc.arange(0, 3, 0), gc.errors.ArgumentError),
    "arange of a fraction of a name": (lambda: gc.arange(0, "n", 0.5), gc.errors.ShapeError),
    "arange from a name": (lambda: gc.arange("n", 5), gc.errors.ShapeError),
    "arange of truth": (lambda: gc.arange(2, dtype="bool"), gc.errors.DTypeError),
    "arange of what is none": (lambda: gc.arange([1, 2]), gc.errors.ArgumentError),
    "linspace": (lambda: gc.linspace(0, 1, 3, dtype="int32"), gc.errors.DTypeError),
    "eye": (lambda: gc.eye(-1), gc.errors.ShapeError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_with_what_would_fit(name: str) -> None:
    build, error = REFUSED[name]
    with pytest.raises(error) as caught:
        build()
    assert caught.value.fits
