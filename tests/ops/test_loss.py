"""Cross-entropies: values far out, soft labels, the policy for probabilities of 0 and 1, axes, dtypes, bad input."""

import math
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import toposort
from graphc.testing import check_gradient

both = pytest.mark.parametrize("backend", ["numpy", "jax"])
INF = math.inf


def evaluated(y: Any, values: dict[Any, Any], backend: str = "numpy") -> Any:
    result = gc.compile(list(values), y, backend=backend)(*values.values())
    return [np.asarray(part) for part in result] if isinstance(result, list | tuple) else np.asarray(result)


def drawn(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


def shares(*shape: int, axis: int = -1, seed: int = 0) -> Any:
    positive = np.exp(drawn(*shape, seed=seed))
    return positive / positive.sum(axis, keepdims=True)


# ---------------------------------------------------------------- from logits
@both
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_soft_labels_along_any_axis(axis: int, backend: str) -> None:
    target, logits = shares(2, 4, 3, axis=axis), drawn(2, 4, 3, seed=1) * 5
    t, x = gc.input("t", (2, 4, 3), "float64"), gc.input("x", (2, 4, 3), "float64")
    y = gc.categorical_crossentropy(t, x, from_logits=True, axis=axis)
    probable = np.exp(logits) / np.exp(logits).sum(axis, keepdims=True)
    value, dx, dt = evaluated([y, *gc.grad(gc.sum(y), [x, t])], {t: target, x: logits}, backend)
    np.testing.assert_allclose(value, -(target * np.log(probable)).sum(axis), rtol=1e-10)
    np.testing.assert_allclose(dx, probable - target, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(dt, -np.log(probable), rtol=1e-8)


@both
def test_classes_that_are_ruled_out_cost_nothing(backend: str) -> None:
    """A logit of -inf under a label of 0: 0 * inf would be NaN."""
    t, x = gc.input("t", (2, 3), "float64"), gc.input("x", (2, 3), "float64")
    y = gc.categorical_crossentropy(t, x, from_logits=True)
    found, dx = evaluated([y, gc.grad(gc.sum(y), x)], {t: [[1, 0, 0], [0, 1, 0]], x: [[0, 0, -INF], [-INF, 0, -INF]]}, backend)
    np.testing.assert_allclose(found, [math.log(2), 0])
    np.testing.assert_allclose(dx, [[-0.5, 0.5, 0], [0, 0, 0]])


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_from_logits_far_out(dtype: str, backend: str) -> None:
    x, t = gc.input("x", (8,), dtype), gc.input("t", (8,), dtype)
    y = gc.binary_crossentropy(t, x, from_logits=True)
    logits = np.array([1000, 1000, -1000, -1000, 0, 50, INF, -INF], dtype)
    labels = np.array([1, 0, 1, 0, 1, 1, 1, 0], dtype)
    found, dx = evaluated([y, gc.grad(gc.sum(y), x)], {x: logits, t: labels}, backend)
    np.testing.assert_allclose(found, [0, 1000, 1000, 0, math.log(2), math.exp(-50), 0, 0], rtol=1e-6, atol=0)
    np.testing.assert_allclose(dx, [0, 1, -1, 0, -0.5, -math.exp(-50), 0, 0], rtol=1e-6, atol=0)


def test_binary_from_logits_with_soft_labels_in_float32() -> None:
    """Right to a few units in the last place, against float64, where its terms do not cross 0."""
    labels, logits = np.meshgrid(np.linspace(0, 1, 41, dtype="float32"), np.linspace(-30, 30, 121, dtype="float32"))
    found = []
    for dtype in ("float32", "float64"):
        t, x = gc.input("t", labels.shape, dtype), gc.input("x", logits.shape, dtype)
        found.append(evaluated(gc.binary_crossentropy(t, x, from_logits=True), {t: labels.astype(dtype), x: logits.astype(dtype)}))
    np.testing.assert_allclose(*found, rtol=5e-7)


@both
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_sparse_labels_are_one_hot_ones(axis: int, backend: str) -> None:
    shape = (3, 4, 3)
    rest = tuple(size for i, size in enumerate(shape) if i != axis % 3)
    labels = np.random.default_rng(0).integers(0, 3, rest)
    t, x = gc.input("t", rest, "int32"), gc.input("x", shape, "float64")
    hot = gc.moveaxis(gc.one_hot(t, num_classes=shape[axis], dtype="float64"), -1, axis)
    for from_logits, point in ((True, drawn(*shape)), (False, shares(*shape, axis=axis))):
        sparse = gc.sparse_categorical_crossentropy(t, x, from_logits=from_logits, axis=axis)
        dense = gc.categorical_crossentropy(hot, x, from_logits=from_logits, axis=axis)
        outputs = [sparse, gc.grad(gc.sum(sparse), x), dense, gc.grad(gc.sum(dense), x)]
        value, dx, expected, expected_dx = evaluated(outputs, {t: labels, x: point}, backend)
        np.testing.assert_allclose(value, expected, rtol=1e-12)
        np.testing.assert_allclose(dx, expected_dx, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64"])
def test_labels_of_any_integer_dtype(dtype: str) -> None:
    """300 classes are more than int8 counts."""
    t, x = gc.input("t", (2,), dtype), gc.input("x", (2, 300), "float64")
    found = gc.evaluate(gc.sparse_categorical_crossentropy(t, x, from_logits=True), {t: np.array([3, 100], dtype), x: np.zeros((2, 300))})
    np.testing.assert_allclose(found, [math.log(300)] * 2)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("bad", [3, -1])
def test_a_label_outside_the_classes(bad: int, from_logits: bool) -> None:
    """Also where the number of classes has a name, and from probabilities."""
    for classes in (3, "classes"):
        t, x = gc.input("t", (2,), "int32"), gc.input("x", (2, classes), "float64")
        y = gc.sparse_categorical_crossentropy(t, x, from_logits=from_logits)
        arguments = np.int32([0, bad]), np.full((2, 3), 1 / 3)
        with pytest.raises(IndexError):
            gc.compile([t, x], y)(*arguments)
        found = np.asarray(gc.compile([t, x], y, backend="jax")(*arguments))
        assert np.isfinite(found[0])
        assert np.isnan(found[1])


def test_named_sizes() -> None:
    t, x = gc.input("t", ("batch",), "int64"), gc.input("x", ("batch", "classes"), "float64")
    y = gc.sparse_categorical_crossentropy(t, x, from_logits=True)
    run = gc.compile([t, x], [y, gc.grad(gc.sum(y), x)])
    for batch, classes in ((2, 3), (5, 2)):
        labels, logits = np.arange(batch) % classes, drawn(batch, classes)
        value, dx = run(labels, logits)
        probable = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        np.testing.assert_allclose(value, -np.log(probable[np.arange(batch), labels]))
        np.testing.assert_allclose(dx, probable - np.eye(classes)[labels], atol=1e-12)


# ---------------------------------------------------------------- from probabilities
@both
def test_probabilities_of_0_and_1_are_bounded_and_have_gradient_0_beyond(backend: str) -> None:
    t, q = gc.input("t", (4,), "float64"), gc.input("q", (4,), "float64")
    y = gc.binary_crossentropy(t, q)
    value, dq = evaluated([y, gc.grad(gc.sum(y), q)], {t: [1, 0, 1, 0], q: [0.0, 1.0, 0.5, 0.25]}, backend)
    np.testing.assert_allclose(value, [-math.log(1e-7), -math.log(1e-7), math.log(2), -math.log(0.75)], rtol=1e-8)
    np.testing.assert_allclose(dq, [0, 0, -2, 4 / 3])
    rows = gc.input("rows", (2, 2), "float64")
    for loss in (
        gc.categorical_crossentropy(gc.constant([[1.0, 0], [0, 1]], "float64"), rows),
        gc.sparse_categorical_crossentropy(gc.constant([0, 1]), rows),
    ):
        value, dx = evaluated([loss, gc.grad(gc.sum(loss), rows)], {rows: [[0.0, 1], [0.5, 0.5]]}, backend)
        np.testing.assert_allclose(value, [-math.log(1e-7), math.log(2)], rtol=1e-6)
        np.testing.assert_allclose(dx, [[0, 0], [1, -1]], atol=1e-5)


@both
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_probabilities_of_half_precision(dtype: str, backend: str) -> None:
    """1 - 1e-7 is 1 in float16, whose logarithm of the rest would be -inf."""
    q = gc.input("q", (3,), dtype)
    y = gc.binary_crossentropy(gc.constant([1, 0, 1]), q)
    value, dq = evaluated([y, gc.grad(gc.sum(gc.cast(y, "float32")), q)], {q: np.float32([1, 1, 0.5])}, backend)
    assert str(value.dtype) == dtype
    np.testing.assert_allclose(value.astype("float64"), [1e-7, 15.95, math.log(2)], rtol=0.01, atol=1e-6)
    assert np.isfinite(dq.astype("float64")).all()


def test_small_probabilities_keep_their_digits() -> None:
    q = gc.input("q", (3,), "float32")
    found = gc.evaluate(gc.binary_crossentropy(0, q), {q: [1e-7, 3e-6, 1e-4]})
    np.testing.assert_allclose(found, -np.log1p(-np.float32([1e-7, 3e-6, 1e-4]).astype("float64")), rtol=3e-7)


def test_probabilities_are_scaled_to_1() -> None:
    t, q = gc.constant([[0.25, 0.75]], "float64"), gc.input("q", (1, 2), "float64")
    y = gc.categorical_crossentropy(t, q)
    np.testing.assert_allclose(gc.evaluate(y, {q: [[2.0, 6]]}), [-(0.25 * math.log(0.25) + 0.75 * math.log(0.75))])
    assert check_gradient(y, q, at={q: [[2.0, 5]]}, order=2)


@pytest.mark.parametrize(
    ("build", "op"),
    [
        (lambda x: gc.categorical_crossentropy(gc.full((2, 3), 0.5), gc.softmax(x)), "softmax_crossentropy"),
        (lambda x: gc.sparse_categorical_crossentropy(gc.constant([0, 1]), gc.softmax(x)), "sparse_softmax_crossentropy"),
        (lambda x: gc.binary_crossentropy(1, gc.sigmoid(x)), "sigmoid_crossentropy"),
    ],
)
def test_a_softmax_or_sigmoid_is_seen_through(build: Any, op: str) -> None:
    names = [node.op.name for node in toposort([build(gc.input("x", (2, 3)))]) if node.op]
    assert op in names
    assert not {"softmax", "sigmoid", "log"} & set(names)


# ---------------------------------------------------------------- dtypes and bad input
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("from_logits", [True, False])
def test_targets_that_are_no_floats_take_the_dtype_of_the_output(dtype: str, from_logits: bool) -> None:
    x = gc.input("x", (2, 3), dtype)
    for kind in ("int32", "int64", "bool"):
        target = gc.input("t", (2, 3), kind)
        assert gc.binary_crossentropy(target, x, from_logits=from_logits).dtype == dtype
        assert gc.categorical_crossentropy(target, x, from_logits=from_logits).dtype == dtype
    assert gc.binary_crossentropy(1, x, from_logits=from_logits).dtype == dtype
    assert gc.binary_crossentropy([[1, 0, 1]] * 2, x, from_logits=from_logits).dtype == dtype


BAD: dict[str, Any] = {
    "a column against a row": lambda: gc.binary_crossentropy(gc.input("t", (4, 1)), gc.input("x", (4,))),
    "a column against a row, from logits": lambda: gc.binary_crossentropy(gc.input("t", (4, 1)), gc.input("x", (4,)), from_logits=True),
    "other classes": lambda: gc.categorical_crossentropy(gc.input("t", (4, 2)), gc.input("x", (4, 3))),
    "other classes, from logits": lambda: gc.categorical_crossentropy(gc.input("t", (4, 2)), gc.input("x", (4, 3)), from_logits=True),
    "labels of another batch": lambda: gc.sparse_categorical_crossentropy(gc.input("t", (3,), "int32"), gc.input("x", (4, 3))),
    "labels that are floats": lambda: gc.sparse_categorical_crossentropy(gc.input("t", (4,)), gc.input("x", (4, 3))),
    "an axis that is not there": lambda: gc.categorical_crossentropy(gc.input("t", (4, 2)), gc.input("x", (4, 2)), True, axis=2),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused_in_three_parts(name: str) -> None:
    with pytest.raises(gc.errors.GraphcError) as caught:
        BAD[name]()
    assert caught.value.asked
    assert caught.value.given
    assert caught.value.fits
