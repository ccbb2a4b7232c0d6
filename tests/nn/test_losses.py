"""Losses against Keras's recorded values, SciPy and scikit-learn; weights, masks, logits, gradients, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

import graphc as gc
from graphc.nn import losses

Array = np.ndarray[Any, Any]
KERAS = json.loads((Path(__file__).parent / "reference" / "keras_values.json").read_text())
INPUTS = {name: np.array(value, None if "label" in name or "bits" in name else "float32") for name, value in KERAS["inputs"].items()}
rng = np.random.default_rng(3)
ONE_HOT, LOGITS = np.eye(4)[[1, 3, 0]], rng.normal(size=(3, 4))
BITS = rng.integers(0, 2, (3, 4)).astype(float)


def computed(loss: Any, *values: Any) -> Any:
    """The loss of arrays as a compiled function of them; None stays None."""
    arrays = [None if value is None else np.asarray(value) for value in values]
    leaves = [None if value is None else gc.input(f"x{i}", value.shape, value.dtype.name) for i, value in enumerate(arrays)]
    run = gc.compile([leaf for leaf in leaves if leaf is not None], loss(*leaves))
    return run(*[value for value in arrays if value is not None])


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_values_are_kerass(backend: Any) -> None:
    """All in one function: XLA takes its time for each."""
    if backend == "jax":
        pytest.importorskip("jax")
    rows = KERAS["losses"] if backend == "numpy" else list({row[0]: row for row in KERAS["losses"]}.values())
    leaves = {name: gc.input(name, value.shape, value.dtype.name) for name, value in INPUTS.items()}
    found = [
        getattr(losses, name)(**arguments)(leaves[y_true], leaves[y_pred], leaves.get(weight))
        for name, arguments, y_true, y_pred, weight, _ in rows
    ]
    values = gc.compile([*leaves.values()], found, backend=backend)(*INPUTS.values())
    for value, row in zip(values, rows, strict=True):
        np.testing.assert_allclose(value, row[-1], rtol=2e-5, atol=2e-6, err_msg=str(row))


@pytest.mark.parametrize("cls", losses.CLASSES, ids=lambda cls: cls.__name__)
def test_a_class_is_the_mean_of_its_function(cls: Any) -> None:
    y_true = INPUTS["labels"] if "Sparse" in cls.__name__ else INPUTS["one_hot"]
    values = cls.function(y_true, INPUTS["shares"])
    assert cls().kind == "loss"
    np.testing.assert_allclose(cls()(y_true, INPUTS["shares"]), np.mean(values), rtol=1e-6)
    np.testing.assert_array_equal(cls(reduction="none")(y_true, INPUTS["shares"]), values)


FORMULAS: dict[str, tuple[Callable[[Array, Array], Array], Array, Array]] = {
    "log_cosh": (lambda t, p: np.log(np.cosh(p - t)).mean(-1), BITS, LOGITS),
    "huber": (lambda t, p: special.huber(1.0, p - t).mean(-1), BITS, 2 * LOGITS),
    "kl_divergence": (lambda t, p: special.rel_entr(t, p).sum(-1), special.softmax(LOGITS, -1), special.softmax(-LOGITS, -1)),
    "categorical_crossentropy": (lambda t, p: -(t * np.log(p)).sum(-1), ONE_HOT, special.softmax(LOGITS, -1)),
    "binary_crossentropy": (lambda t, p: -(special.xlogy(t, p) + special.xlog1py(1 - t, -p)).mean(-1), BITS, special.expit(LOGITS)),
    "poisson": (lambda t, p: (p - special.xlogy(t, p)).mean(-1), BITS, np.exp(LOGITS)),
    "squared_hinge": (lambda t, p: (np.maximum(1 - t * p, 0) ** 2).mean(-1), 2 * BITS - 1, LOGITS),
    "mean_squared_logarithmic_error": (lambda t, p: ((np.log1p(t) - np.log1p(p)) ** 2).mean(-1), BITS + 1, np.exp(LOGITS)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_functions_are_the_formulas_in_float64(name: str) -> None:
    formula, y_true, y_pred = FORMULAS[name]
    np.testing.assert_allclose(getattr(losses, name)(y_true, y_pred), formula(y_true, y_pred), rtol=2e-6, atol=1e-12)


def test_cross_entropy_is_scikit_learns_log_loss() -> None:
    log_loss = pytest.importorskip("sklearn.metrics").log_loss
    labels, shares = np.array([1, 3, 0]), special.softmax(LOGITS, -1)
    weight = np.array([1.0, 2.0, 0.5])
    expected = log_loss(labels, shares, labels=range(4), sample_weight=weight)
    loss = losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight")
    np.testing.assert_allclose(loss(labels, shares, weight), expected, rtol=1e-6)


SMOOTH = {
    "mean_squared_error": (BITS, LOGITS),
    "huber": (BITS, LOGITS),
    "log_cosh": (BITS, LOGITS),
    "mean_squared_logarithmic_error": (BITS + 1, np.exp(LOGITS)),
    "poisson": (BITS, np.exp(LOGITS)),
    "cosine_similarity": (BITS, LOGITS),
    "kl_divergence": (special.softmax(LOGITS, -1), special.softmax(-LOGITS, -1)),
    "binary_crossentropy": (BITS, special.expit(LOGITS)),
    "binary_focal_crossentropy": (BITS, special.expit(LOGITS)),
    "categorical_crossentropy": (ONE_HOT, special.softmax(LOGITS, -1)),
    "categorical_focal_crossentropy": (ONE_HOT, special.softmax(LOGITS, -1)),
    "dice": (BITS, special.expit(LOGITS)),
    "tversky": (BITS, special.expit(LOGITS)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_are_the_differences(name: str) -> None:
    y_true, y_pred = SMOOTH[name]
    weight = np.array([1.0, 2.0, 0.5])
    values = getattr(losses, name)

    def total(y: gc.Tensor) -> gc.Tensor:
        found = values(gc.constant(y_true), y)
        return gc.sum(found * gc.constant(weight)) if found.ndim else found

    y = gc.input("y", y_pred.shape, "float64")
    assert gc.check_gradient(total(y), y, at={y: y_pred})


# ---------------------------------------------------------------- logits
LOGIT_LOSSES = [
    ("BinaryCrossentropy", gc.sigmoid, "bits"),
    ("BinaryFocalCrossentropy", gc.sigmoid, "bits"),
    ("CategoricalCrossentropy", gc.softmax, "one_hot"),
    ("CategoricalFocalCrossentropy", gc.softmax, "one_hot"),
    ("SparseCategoricalCrossentropy", gc.softmax, "labels"),
]


@pytest.mark.parametrize(("name", "last", "targets"), LOGIT_LOSSES)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_softmax_or_a_sigmoid_is_computed_from_its_logits(name: str, last: Any, targets: str, dtype: str) -> None:
    y_true, logits = INPUTS[targets], (60 * INPUTS["logits"]).astype(dtype)  # probabilities far below 1e-7
    cls = getattr(losses, name)
    seen = computed(lambda t, x: cls()(t, last(x)), y_true, logits)
    asked = computed(cls(from_logits=True), y_true, logits)
    assert seen == asked
    assert seen > (3 if "Focal" in name else 17)


def test_a_sigmoid_stays_in_sight_beside_targets_of_one_axis() -> None:
    logits = np.array([[-200.0], [200.0]], "float32")
    loss = computed(lambda t, x: losses.BinaryCrossentropy()(t, gc.sigmoid(x)), np.array([1, 0]), logits)
    assert loss == 200


# ---------------------------------------------------------------- weights and masks
VALUES = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]], "float32")
MASK = np.array([[True, True], [True, False], [False, True]])


@pytest.mark.parametrize(
    ("reduction", "weight", "expected"),
    [
        ("sum_over_batch_size", None, (1 + 4 + 9 + 36) / 4),
        ("mean", None, (1 + 4 + 9 + 36) / 4),
        ("mean_with_sample_weight", None, (1 + 4 + 9 + 36) / 4),
        ("sum", None, 50.0),
        ("none", None, [[1, 4], [9, 0], [0, 36]]),
        (None, None, [[1, 4], [9, 0], [0, 36]]),
        ("sum", [1.0, 2.0, 3.0], 1 + 4 + 18 + 108),
        ("sum_over_batch_size", [1.0, 2.0, 3.0], (1 + 4 + 18 + 108) / 4),
        ("mean_with_sample_weight", [1.0, 2.0, 3.0], (1 + 4 + 18 + 108) / 7),
    ],
)
def test_what_a_mask_leaves_out_does_not_count(reduction: str | None, weight: Any, expected: Any) -> None:
    loss = losses.LossFunctionWrapper(lambda y_true, y_pred: gc.square(y_pred - y_true), reduction=reduction)
    np.testing.assert_allclose(loss(np.zeros((3, 2)), VALUES, weight, MASK), expected)


def test_a_mask_that_leaves_nothing_gives_0() -> None:
    for reduction in ("sum_over_batch_size", "sum", "mean_with_sample_weight"):
        assert losses.MeanSquaredError(reduction=reduction)(VALUES, VALUES, mask=[False] * 3) == 0


def test_a_mask_and_an_ignored_class_leave_out_both() -> None:
    labels, shares = INPUTS["labels"], INPUTS["shares"]
    loss = losses.SparseCategoricalCrossentropy(ignore_class=0)
    kept = losses.sparse_categorical_crossentropy(labels, shares)[[1, 2]]
    np.testing.assert_allclose(loss(labels, shares, mask=[True, True, True, False]), kept.mean(), rtol=1e-6)


def test_an_ignored_class_may_be_none_of_the_classes() -> None:
    labels, shares = np.array([0, -1, 1, -1]), INPUTS["shares"]
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    expected = -np.log(shares[[0, 2], [0, 1]] / shares.sum(-1)[[0, 2]]).mean()
    np.testing.assert_allclose(loss(labels, shares), expected, rtol=1e-6)


@pytest.mark.parametrize("weight", [2.0, np.float32(2), [2.0] * 4, [[2.0]] * 4, np.full((4, 3), 2.0)], ids=repr)
def test_weights_of_every_shape_that_fits(weight: Any) -> None:
    loss = losses.LossFunctionWrapper(lambda t, p: gc.abs(p - t))
    plain = loss(INPUTS["reals"], INPUTS["guesses"])
    np.testing.assert_allclose(loss(INPUTS["reals"], INPUTS["guesses"], weight), 2 * plain, rtol=1e-6)


def test_an_empty_batch_has_no_mean_and_the_sum_0() -> None:
    empty = np.zeros((0, 3), "float32")
    assert losses.MeanSquaredError("sum")(empty, empty) == 0
    assert losses.MeanSquaredError("none")(empty, empty).shape == (0,)


# ---------------------------------------------------------------- accuracy at the ends
def test_log_cosh_of_small_and_of_large_errors() -> None:
    for error, expected in [(1e-4, 0.5e-8), (1e-12, 0.5e-24), (100.0, 100 - np.log(2)), (1e30, 1e30)]:
        np.testing.assert_allclose(losses.log_cosh(np.zeros(1, "float32"), np.array([error], "float32")), expected, rtol=1e-6)


def test_focal_loss_of_what_is_certain_is_0_with_a_finite_gradient() -> None:
    x = gc.input("x", (1, 2))
    loss = losses.BinaryFocalCrossentropy(gamma=0.5, from_logits=True)(np.array([[1.0, 0.0]]), x)
    slope = gc.compile([x], gc.grad(loss, x))(np.array([[200, -200]], "float32"))
    assert np.isfinite(slope).all()


def test_half_precision_is_computed_in_single() -> None:
    y = np.array([[60000, 2]], "float16")
    assert losses.mean_squared_error(np.zeros((1, 2), "float16"), y).dtype == np.float32
    assert np.isfinite(losses.mean_squared_error(np.zeros((1, 2), "float16"), y)).all()


# ---------------------------------------------------------------- finding them
def test_functions_and_names_become_losses() -> None:
    def cube(y_true: Any, y_pred: Any, scale: float = 1.0) -> Any:
        return scale * gc.mean(gc.abs(y_pred - y_true) ** 3, axis=-1)

    loss = losses.get(cube)
    assert loss is not None
    assert loss.name == "cube"
    scaled = losses.LossFunctionWrapper(cube, scale=2.0)
    y = INPUTS["reals"], INPUTS["guesses"]
    np.testing.assert_allclose(scaled(*y), 2 * loss(*y), rtol=1e-6)
    half = losses.LossFunctionWrapper(losses.huber, reduction="sum", delta=0.5)
    again = losses.LossFunctionWrapper.from_config(half.get_config())
    assert again(*y) == half(*y) == losses.Huber(0.5, "sum")(*y)
    assert losses.get("mse") == losses.MeanSquaredError()
    assert losses.Huber(0.5).get_config() == {"delta": 0.5, "reduction": "sum_over_batch_size", "name": "huber_loss", "dtype": None}


@pytest.mark.parametrize(
    ("true", "pred", "cls"),
    [
        (("b", 1), ("b", 1), losses.BinaryCrossentropy),
        (("b",), ("b", 1), losses.BinaryCrossentropy),
        (("b",), ("b", 10), losses.SparseCategoricalCrossentropy),
        (("b", 1), ("b", 10), losses.SparseCategoricalCrossentropy),
        (("b", 10), ("b", 10), losses.CategoricalCrossentropy),
        (("b", 5), ("b", 5, 10), losses.SparseCategoricalCrossentropy),
    ],
)
@pytest.mark.parametrize("name", ["crossentropy", "ce"])
def test_the_cross_entropy_is_chosen_by_the_shapes(name: str, true: Any, pred: Any, cls: type) -> None:
    assert type(losses.get(name, gc.input("t", true), gc.input("p", pred))) is cls


# ---------------------------------------------------------------- bad input
BAD = {
    "a reduction": (lambda: losses.MeanSquaredError("average"), ["reduction is 'average'", "sum_over_batch_size"]),
    "smoothing": (lambda: losses.CategoricalCrossentropy(label_smoothing=1.5), ["label_smoothing is 1.5", "0 <= label_smoothing <= 1"]),
    "shapes unknown": (lambda: losses.get("ce"), ["chosen by shapes"]),
    "two shapes": (lambda: losses.CategoricalCrossentropy()(INPUTS["labels"], INPUTS["shares"]), ["(4,)", "(4, 3)"]),
    "focal shapes": (lambda: losses.CategoricalFocalCrossentropy()(INPUTS["labels"], INPUTS["shares"]), ["two shapes"]),
    "words": (lambda: losses.MeanSquaredError()(np.array(["a"]), np.zeros(1)), ["dtype"]),
    "sparse rank": (lambda: losses.SparseCategoricalCrossentropy()(INPUTS["one_hot"], INPUTS["shares"]), ["(4, 3)", "(4,)"]),
    "apart": (lambda: losses.MeanSquaredError()(np.zeros((4, 3)), np.zeros((4, 2))), ["[4, 3]", "[4, 2]"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused(what: str) -> None:
    call, words = BAD[what]
    with pytest.raises(gc.errors.GraphcError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("label", [3, -1])
@pytest.mark.parametrize("pred", ["shares", "logits"])
def test_a_label_outside_the_classes_raises(label: int, pred: str) -> None:
    loss = losses.SparseCategoricalCrossentropy(from_logits=pred == "logits")
    with pytest.raises(IndexError):
        loss(np.array([0, 1, 2, label]), INPUTS[pred])


def test_a_loss_without_a_formula_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"Loss.call\(y_true, y_pred\)"):
        losses.Loss()([1.0], [1.0])
