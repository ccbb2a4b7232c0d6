"""Metrics against Keras's recorded values and scikit-learn; batches that add up, weights, masks, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.nn import losses, metrics

Array = np.ndarray[Any, Any]
EACH_KIND = ["AUC", "BinaryAccuracy", "F1Score", "Mean", "MeanIoU", "Precision", "R2Score", "SparseTopKCategoricalAccuracy"]
KERAS = json.loads((Path(__file__).parent / "reference" / "keras_values.json").read_text())
INPUTS = {name: np.array(value, None if "label" in name or "bits" in name else "float32") for name, value in KERAS["inputs"].items()}
INPUTS |= {name: np.array(KERAS["inputs"][name], "float32") for name in ("many_chances", "many_label_chances")}
rng = np.random.default_rng(5)
YES, CHANCE, WEIGHT = rng.integers(0, 2, 400), rng.uniform(size=400), rng.uniform(size=400)


def added_up(metric: metrics.Metric, batches: list[list[Any]]) -> Any:
    """The figure of batches of (targets, predictions, weights), each by one compiled function that works for all of their sizes."""
    leaves = [None if x is None else gc.input(f"x{i}", ("batch", *x.shape[1:]), x.dtype.name) for i, x in enumerate(batches[0])]
    given = leaves if leaves[1] is not None else [leaves[0], leaves[2]]
    run = gc.compile([leaf for leaf in leaves if leaf is not None], metric.states(*given))
    totals: dict[str, Any] = {}
    for batch in batches:
        for name, value in run(*[x for x in batch if x is not None]).items():
            totals[name] = totals.get(name, 0.0) + np.asarray(value, "float64")
    return metric.result(totals)


def halves(*names: str | None) -> list[list[Any]]:
    """A large and a small batch, as an epoch ends."""
    arrays = [None if name is None else INPUTS[name] for name in names]
    cut = next(len(array) for array in arrays if array is not None) * 3 // 4
    return [[None if array is None else array[part] for array in arrays] for part in (slice(cut), slice(cut, None))]


@pytest.mark.parametrize("name", sorted({row[0] for row in KERAS["metrics"]}))
def test_figures_of_two_batches_are_kerass(name: str) -> None:
    for row in KERAS["metrics"]:
        if row[0] == name:
            found = added_up(getattr(metrics, name)(**row[1]), halves(*row[2:5]))
            np.testing.assert_allclose(found, row[-1], rtol=2e-5, atol=1e-5, err_msg=str(row))


def test_figures_are_kerass_on_jax() -> None:
    """All in one function: XLA takes its time for each."""
    pytest.importorskip("jax")
    each = {row[0]: row for row in KERAS["metrics"]}
    rows = [each[name] for name in EACH_KIND]
    leaves = {name: gc.input(name, value.shape, value.dtype.name) for name, value in INPUTS.items()}
    made = [getattr(metrics, name)(**arguments) for name, arguments, *_ in rows]
    states = [
        metric.states(*[leaves.get(name) for name in (row[2:5] if row[3] else row[2:5:2])]) for metric, row in zip(made, rows, strict=True)
    ]
    flat = {f"{place}/{name}": x for place, of_one in enumerate(states) for name, x in of_one.items()}
    values = gc.compile([*leaves.values()], flat, backend="jax")(*INPUTS.values())
    for place, (metric, row) in enumerate(zip(made, rows, strict=True)):
        totals = {name: values[f"{place}/{name}"] for name in states[place]}
        np.testing.assert_allclose(metric.result(totals), row[-1], rtol=2e-5, atol=1e-5, err_msg=str(row))


def by_hand(name: str, arguments: dict[str, Any], *values: Any) -> Any:
    metric = getattr(metrics, name)(**arguments)
    metric.update_state(*[value for value in values if value is not None])
    return metric.result()


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_figures_are_scikit_learns(weight: Any) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    named = {"sample_weight": weight}
    labels, guesses = rng.integers(0, 4, 400), rng.integers(0, 4, 400)
    reals, near = rng.normal(size=(400, 2)), rng.normal(size=(400, 2))
    scores = rng.normal(size=(400, 4))
    one_hot, decided = np.eye(4)[labels], CHANCE > 0.5
    pairs = [
        ("Precision", {}, YES, CHANCE, sk.precision_score(YES, decided, **named)),
        ("Recall", {}, YES, CHANCE, sk.recall_score(YES, decided, **named)),
        ("BinaryAccuracy", {}, YES, CHANCE, sk.accuracy_score(YES, decided, **named)),
        ("SparseTopKCategoricalAccuracy", {"k": 2}, labels, scores, sk.top_k_accuracy_score(labels, scores, k=2, **named)),
        ("F1Score", {"average": "macro"}, one_hot, scores, sk.f1_score(labels, scores.argmax(1), average="macro", **named)),
        ("F1Score", {"average": "weighted"}, one_hot, scores, sk.f1_score(labels, scores.argmax(1), average="weighted", **named)),
        ("FBetaScore", {"beta": 0.5}, one_hot, scores, sk.fbeta_score(labels, scores.argmax(1), beta=0.5, average=None, **named)),
        ("MeanIoU", {"num_classes": 4}, labels, guesses, sk.jaccard_score(labels, guesses, average="macro", **named)),
        ("R2Score", {}, reals, near, sk.r2_score(reals, near, **named)),
        ("RootMeanSquaredError", {}, reals[:, 0], near[:, 0], sk.root_mean_squared_error(reals[:, 0], near[:, 0], **named)),
        ("MeanAbsoluteError", {}, reals, near, sk.mean_absolute_error(reals, near, **named)),
    ]
    for name, arguments, y_true, y_pred, expected in pairs:
        found = by_hand(name, arguments, y_true, y_pred, weight)
        np.testing.assert_allclose(found, expected, rtol=2e-6, err_msg=name)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_the_area_nears_scikit_learns_as_thresholds_grow(weight: Any) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    exact = sk.roc_auc_score(YES, CHANCE, sample_weight=weight)
    every = np.unique(CHANCE)
    assert abs(by_hand("AUC", {}, YES, CHANCE, weight) - exact) < 5e-3
    np.testing.assert_allclose(by_hand("AUC", {"thresholds": every.tolist()}, YES, CHANCE, weight), exact, rtol=1e-6)


def test_all_at_once_or_in_batches_is_the_same_figure() -> None:
    for cls in (metrics.AUC, metrics.Precision, metrics.RootMeanSquaredError, metrics.BinaryCrossentropy, metrics.MeanSquaredError):
        whole, parts = cls(), cls()
        whole.update_state(YES[:, None], CHANCE[:, None], WEIGHT)
        for at in (slice(150), slice(150, 390), slice(390, None)):
            parts.update_state(YES[at, None], CHANCE[at, None], sample_weight=WEIGHT[at])
        np.testing.assert_allclose(parts.result(), whole.result(), rtol=1e-12)


def test_state_is_added_and_forgotten() -> None:
    metric = metrics.Mean()
    assert metric.result() == 0.0
    assert metric([1.0, 3.0]) == 2.0
    assert metric([8.0], sample_weight=[2.0]) == (1 + 3 + 16) / 4
    assert isinstance(metric.result(), float)
    metric.reset_state()
    assert metric.result() == 0.0


def test_a_metric_is_equal_to_itself_alone() -> None:
    first, second = metrics.Mean(), metrics.Mean()
    assert first != second
    assert len({first, second}) == 2


# ---------------------------------------------------------------- what does not count
@pytest.mark.parametrize("name", ["MeanSquaredError", "RootMeanSquaredError", "BinaryCrossentropy", "AUC", "Precision", "R2Score"])
def test_what_is_masked_or_weighs_nothing_does_not_count_be_it_nan(name: str) -> None:
    kept, extra = np.array([[0.0], [1.0], [1.0]]), np.array([[0.2], [0.7], [0.4]])
    y_true, y_pred = np.vstack([kept, [[1.0]]]), np.vstack([extra, [[np.nan]]])
    expected = by_hand(name, {}, kept, extra)
    for named in ({"mask": [True] * 3 + [False]}, {"sample_weight": [1.0, 1.0, 1.0, 0.0]}):
        metric = getattr(metrics, name)()
        metric.update_state(y_true, y_pred, **named)
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-6)


def test_an_ignored_class_does_not_count_as_in_the_loss() -> None:
    labels, shares = INPUTS["labels"], INPUTS["shares"]
    for weight in (None, INPUTS["w"]):
        loss = losses.SparseCategoricalCrossentropy(ignore_class=2, reduction="mean_with_sample_weight")
        found = by_hand("SparseCategoricalCrossentropy", {"ignore_class": 2}, labels, shares, weight)
        np.testing.assert_allclose(found, loss(labels, shares, weight), rtol=1e-6)


@pytest.mark.parametrize("cls", [metrics.Mean, metrics.Sum])
def test_nothing_comes_to_0(cls: Any) -> None:
    metric = cls()
    metric.update_state(np.zeros((0, 3), "float32"))
    assert metric.result() == 0.0
    assert by_hand("Precision", {}, [0, 0], [0.1, 0.2]) == by_hand("Recall", {}, [0, 0], [0.1, 0.9]) == 0.0


def test_nan_is_no_answer() -> None:
    assert by_hand("TruePositives", {}, [1, 1], [np.nan, 0.9]) == 1
    assert by_hand("SparseTopKCategoricalAccuracy", {"k": 1}, [0], [[np.nan, 1.0]]) == 0
    assert by_hand("SparseTopKCategoricalAccuracy", {"k": 2}, [5], [[0.5, 1.0]]) == 0  # a label that is no class


def test_targets_far_from_0_do_not_cancel_in_r2() -> None:
    y = 1e4 + rng.normal(size=(100, 1))
    near = y + 0.1 * rng.normal(size=(100, 1))
    expected = 1 - np.sum((y - near) ** 2) / np.sum((y - y.mean()) ** 2)
    np.testing.assert_allclose(by_hand("R2Score", {}, y, near), expected, rtol=1e-6)


def test_ids_in_order_are_looked_up() -> None:
    found = by_hand("SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True}, [3, 1, 0], [[3, 1, 2], [0, 1, 2], [1, 2, 0]])
    np.testing.assert_allclose(found, 2 / 3)


def test_a_softmax_is_computed_from_its_logits() -> None:
    x = gc.input("x", (2, 3))
    states = metrics.SparseCategoricalCrossentropy().states(np.array([0, 1]), gc.softmax(x))
    values = gc.compile([x], states)(np.array([[-90, 0, 0], [0, -90, 0]], "float32"))
    np.testing.assert_allclose(values["total"], 2 * (90 + np.log(2)), rtol=1e-6)


# ---------------------------------------------------------------- finding them
@pytest.mark.parametrize(
    ("true", "pred", "accuracy", "crossentropy"),
    [
        (("b", 1), ("b", 1), metrics.BinaryAccuracy, metrics.BinaryCrossentropy),
        (("b",), ("b", 1), metrics.BinaryAccuracy, metrics.BinaryCrossentropy),
        (("b",), ("b", 10), metrics.SparseCategoricalAccuracy, metrics.SparseCategoricalCrossentropy),
        (("b", 1), ("b", 10), metrics.SparseCategoricalAccuracy, metrics.SparseCategoricalCrossentropy),
        (("b", 10), ("b", 10), metrics.CategoricalAccuracy, metrics.CategoricalCrossentropy),
        (("b", 5, 10), ("b", 5, 10), metrics.CategoricalAccuracy, metrics.CategoricalCrossentropy),
    ],
)
def test_accuracy_and_cross_entropy_are_chosen_by_the_shapes(true: Any, pred: Any, accuracy: type, crossentropy: type) -> None:
    leaves = gc.input("t", true), gc.input("p", pred)
    for name in ("accuracy", "acc", "crossentropy", "ce"):
        found = metrics.get(name, *leaves)
        assert type(found) is (accuracy if name.startswith("acc") else crossentropy)
        assert found.name == name


def test_a_metric_that_is_named_has_that_name() -> None:
    found = metrics.get("mse")
    assert isinstance(found, metrics.MeanSquaredError)
    assert found.name == "mse"
    assert found.get_config() == {"name": "mse", "dtype": None}
    assert (metrics.AUC().name or "").startswith("auc")
    assert metrics.Precision(name="p").named("q").name == "q"


def test_losses_and_functions_are_metrics_too() -> None:
    def largest(y_true: Any, y_pred: Any) -> Any:
        return gc.max(gc.abs(y_pred - y_true), axis=-1)

    y = INPUTS["reals"], INPUTS["guesses"]
    for what, expected in [
        ("huber", losses.Huber()(*y)),
        (losses.Huber(0.5), losses.Huber(0.5)(*y)),
        (largest, np.abs(y[0] - y[1]).max(-1).mean()),
        (losses.mean_squared_error, losses.MeanSquaredError()(*y)),
    ]:
        metric = metrics.get(what)
        assert metric is not None
        np.testing.assert_allclose(metric(*y), expected, rtol=1e-6)
        assert metric.direction == (None if what is largest else "down")
    assert metrics.get("huber").name == "huber"  # type: ignore[union-attr]
    assert metrics.get(largest).name == "largest"  # type: ignore[union-attr]
    wrapped = metrics.MeanMetricWrapper(losses.huber, delta=0.5)
    assert metrics.MeanMetricWrapper.from_config(wrapped.get_config())(*y) == wrapped(*y)


@pytest.mark.parametrize("function", ["accuracy", "binary_accuracy", "cosine_similarity"])
def test_functions_compute_at_once(function: str) -> None:
    assert isinstance(getattr(metrics, function)(INPUTS["bits"], INPUTS["chances"]), np.ndarray)


# ---------------------------------------------------------------- bad input
BAD = {
    "thresholds": (lambda: metrics.Precision(thresholds=[0.5, 1.5]), ["thresholds are [0.5, 1.5]", "from 0 to 1"]),
    "curve": (lambda: metrics.AUC(curve="RUC"), ["curve is 'RUC'", "'ROC', 'PR', 'PRGAIN'"]),
    "method": (lambda: metrics.AUC(summation_method="mean"), ["summation_method is 'mean'"]),
    "auc count": (lambda: metrics.AUC(1), ["num_thresholds is 1", "from 2"]),
    "auc labels": (lambda: metrics.AUC(num_labels=2), ["without multi_label"]),
    "auc inner": (lambda: metrics.AUC(thresholds=[-0.5]), ["thresholds are"]),
    "auc shape": (lambda: metrics.AUC(multi_label=True)(YES, CHANCE), ["many labels", "(batch, labels)"]),
    "specificity": (lambda: metrics.SensitivityAtSpecificity(1.5), ["specificity is 1.5"]),
    "count": (lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=0), ["num_thresholds is 0"]),
    "average": (lambda: metrics.F1Score(average="mean"), ["average is 'mean'", "'micro'"]),
    "beta": (lambda: metrics.FBetaScore(beta=0.0), ["beta is 0.0"]),
    "threshold": (lambda: metrics.F1Score(threshold=0.0), ["threshold is 0.0"]),
    "f1 axes": (lambda: metrics.F1Score()(YES, CHANCE), ["predictions of 1 axes", "two axes"]),
    "aggregation": (lambda: metrics.R2Score(class_aggregation="mean"), ["class_aggregation is 'mean'"]),
    "regressors": (lambda: metrics.R2Score(num_regressors=-1), ["num_regressors is -1"]),
    "classes": (lambda: metrics.IoU(2, [0, 2]), ["classes [0, 2] of 2", "0 to 1"]),
    "class of a vector": (lambda: metrics.Recall(class_id=1)(YES, CHANCE), ["class_id=1", "(batch, classes)"]),
    "two shapes": (lambda: metrics.Precision()(YES, CHANCE[:, None, None]), ["two shapes"]),
    "sparse rank": (
        lambda: metrics.SparseCategoricalAccuracy()(INPUTS["one_hot"], INPUTS["shares"]),
        ["class numbers", "y_true of shape (4,)"],
    ),
    "no shapes": (lambda: metrics.get("accuracy"), ["'accuracy' is chosen by shapes"]),
    "a name": (lambda: metrics.get("acuracy"), ["there is no metric 'acuracy'", "accuracy"]),
    "words": (lambda: metrics.Accuracy()(np.array(["a"]), np.zeros(1)), ["dtype"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused(what: str) -> None:
    call, words = BAD[what]
    with pytest.raises(gc.errors.GraphcError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_a_metric_without_formulas_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"Metric.states"):
        metrics.Metric().update_state([1.0], [1.0])
    with pytest.raises(NotImplementedError, match=r"Metric.figure"):
        metrics.Metric().result({"total": 1.0})
