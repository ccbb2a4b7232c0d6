"""Writes keras_values.json: what Keras says of losses, metrics, regularizers and constraints on small inputs.

    KERAS_BACKEND=jax python make_keras_values.py

Needs Keras 3 (3.15.1 made the file). Inputs are rounded, so that they are the same numbers in JSON; the tests read both from the file.
"""

import json
from pathlib import Path

import keras
import numpy as np

rng = np.random.default_rng(0)


def softmax(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


INPUTS = {
    "reals": rng.normal(size=(4, 3)),
    "guesses": rng.normal(size=(4, 3)),
    "counts": rng.integers(0, 5, (4, 3)),
    "rates": rng.uniform(0.1, 4, (4, 3)),
    "signs": rng.choice([-1, 1], (4, 3)),
    "bits": rng.integers(0, 2, (4, 3)),
    "chances": rng.uniform(0.02, 0.98, (4, 3)),
    "logits": 2 * rng.normal(size=(4, 3)),
    "one_hot": np.eye(3)[[0, 2, 1, 2]],
    "labels": np.array([0, 2, 1, 2]),
    "label_column": np.array([[0], [2], [1], [2]]),
    "shares": softmax(rng.normal(size=(4, 3))),
    "vector": rng.normal(size=4),
    "column": rng.normal(size=(4, 1)),
    "bit_vector": np.array([0, 1, 1, 0]),
    "chance_column": rng.uniform(0.02, 0.98, (4, 1)),
    "steps_labels": rng.integers(0, 3, (4, 2)),
    "steps_shares": softmax(rng.normal(size=(4, 2, 3))),
    "steps_one_hot": np.eye(3)[rng.integers(0, 3, (4, 2))],
    "w": np.array([1.0, 0.5, 0.0, 2.0]),
    "w_column": np.array([[1.0], [0.5], [0.0], [2.0]]),
    "w_each": rng.uniform(0, 2, (4, 3)),
    "w_steps": rng.uniform(0, 2, (4, 2)),
    "label_guesses": np.array([0, 1, 1, 2]),
    "many_bits": rng.integers(0, 2, 60),
    "many_chances": np.round(rng.uniform(0, 1, 60), 2) * 0.998 + 0.0013,
    "w_many": rng.uniform(0, 2, 60),
    "many_labels": rng.integers(0, 2, (30, 2)),
    "many_label_chances": np.round(rng.uniform(0, 1, (30, 2)), 2) * 0.998 + 0.0013,
}
INPUTS = {name: np.round(value, 4) for name, value in INPUTS.items()}
ARGUMENTS = {
    "MeanSquaredError": [{}],
    "MeanAbsoluteError": [{}],
    "MeanAbsolutePercentageError": [{}],
    "MeanSquaredLogarithmicError": [{}],
    "CosineSimilarity": [{}, {"axis": 0}],
    "Hinge": [{}],
    "SquaredHinge": [{}],
    "CategoricalHinge": [{}],
    "KLDivergence": [{}],
    "Poisson": [{}],
    "BinaryCrossentropy": [{}, {"from_logits": True}, {"label_smoothing": 0.2}],
    "CategoricalCrossentropy": [{}, {"from_logits": True}, {"label_smoothing": 0.2}],
    "SparseCategoricalCrossentropy": [{}, {"from_logits": True}],
}
FED = {
    "MeanAbsolutePercentageError": ("reals", "guesses"),
    "MeanSquaredLogarithmicError": ("counts", "rates"),
    "Hinge": ("signs", "guesses"),
    "SquaredHinge": ("bits", "guesses"),
    "CategoricalHinge": ("one_hot", "guesses"),
    "KLDivergence": ("shares", "chances"),
    "Poisson": ("counts", "rates"),
    "BinaryCrossentropy": ("bits", "chances"),
    "BinaryFocalCrossentropy": ("bits", "chances"),
    "CategoricalCrossentropy": ("one_hot", "shares"),
    "CategoricalFocalCrossentropy": ("one_hot", "shares"),
    "SparseCategoricalCrossentropy": ("labels", "shares"),
    "Dice": ("bits", "chances"),
    "Tversky": ("bits", "chances"),
}
ONLY_LOSSES = {
    "Huber": [{}, {"delta": 0.4}],
    "LogCosh": [{}],
    "BinaryFocalCrossentropy": [
        {},
        {"gamma": 1.5},
        {"apply_class_balancing": True, "alpha": 0.3},
        {"from_logits": True},
        {"label_smoothing": 0.1},
    ],
    "CategoricalFocalCrossentropy": [{}, {"alpha": 0.5, "gamma": 1.0}, {"from_logits": True}, {"label_smoothing": 0.1}],
    "Dice": [{}, {"axis": [1]}],
    "Tversky": [{}, {"alpha": 0.2, "beta": 0.7, "axis": [1]}],
}


def fed(name, arguments):
    y_true, y_pred = FED.get(name, ("reals", "guesses"))
    return y_true, "logits" if arguments.get("from_logits") else y_pred


def losses():
    for name, choices in (ARGUMENTS | ONLY_LOSSES).items():
        for arguments in choices:
            for weight in None, "w":
                scalar = name in ("Dice", "Tversky") and "axis" not in arguments
                if not (scalar and weight) and not (arguments.get("axis") == 0 and weight):
                    yield name, arguments, *fed(name, arguments), weight
    for reduction in "sum", "none", "mean", "mean_with_sample_weight":
        for weight in None, "w", "w_column":
            yield "MeanSquaredError", {"reduction": reduction}, "reals", "guesses", weight
    for y_true, y_pred in ("vector", "column"), ("column", "vector"), ("vector", "vector"):
        for weight in None, "w":
            yield "MeanAbsoluteError", {}, y_true, y_pred, weight
    yield "BinaryCrossentropy", {}, "bit_vector", "chance_column", "w"
    for weight in None, "w_column", "w_steps":
        yield "SparseCategoricalCrossentropy", {}, "steps_labels", "steps_shares", weight
        yield "CategoricalCrossentropy", {}, "steps_one_hot", "steps_shares", weight
    yield "SparseCategoricalCrossentropy", {}, "label_column", "shares", "w"
    for weight in None, "w":
        yield "SparseCategoricalCrossentropy", {"ignore_class": 2}, "labels", "shares", weight
        yield "SparseCategoricalCrossentropy", {"ignore_class": 2, "reduction": "mean_with_sample_weight"}, "labels", "shares", weight


def metrics():
    for name, choices in ARGUMENTS.items():
        for arguments in choices:
            for weight in None, "w":
                if arguments.get("axis") != 0:
                    yield name, arguments, *fed(name, arguments), weight
    for weight in None, "w":
        yield "LogCoshError", {}, "reals", "guesses", weight
        yield "RootMeanSquaredError", {}, "reals", "guesses", weight
        yield "PearsonCorrelation", {}, "reals", "guesses", weight
        yield "ConcordanceCorrelation", {}, "reals", "guesses", weight
        yield "Accuracy", {}, "labels", "label_guesses", weight
        yield "Accuracy", {}, "label_column", "label_guesses", weight
        yield "BinaryAccuracy", {}, "bits", "chances", weight
        yield "BinaryAccuracy", {"threshold": 0.3}, "bit_vector", "chance_column", weight
        yield "CategoricalAccuracy", {}, "one_hot", "shares", weight
        yield "SparseCategoricalAccuracy", {}, "labels", "shares", weight
        yield "SparseCategoricalAccuracy", {}, "label_column", "shares", weight
        yield "SparseCategoricalAccuracy", {}, "steps_labels", "steps_shares", weight
        yield "TopKCategoricalAccuracy", {"k": 2}, "one_hot", "shares", weight
        yield "SparseTopKCategoricalAccuracy", {"k": 2}, "labels", "shares", weight
        yield "SparseTopKCategoricalAccuracy", {"k": 2}, "steps_labels", "steps_shares", weight
        yield "R2Score", {}, "reals", "guesses", weight
        yield "R2Score", {"class_aggregation": None}, "reals", "guesses", weight
        yield "R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 2}, "reals", "guesses", weight
        for average in None, "micro", "macro", "weighted":
            yield "FBetaScore", {"average": average, "beta": 2.0, "threshold": 0.4}, "bits", "chances", weight
            yield "F1Score", {"average": average}, "one_hot", "shares", weight
    yield "SparseCategoricalAccuracy", {}, "steps_labels", "steps_shares", "w_steps"
    yield "CategoricalAccuracy", {}, "steps_one_hot", "steps_shares", "w_steps"
    for weight in None, "w_many":
        for name in "TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives", "Precision", "Recall":
            yield name, {}, "many_bits", "many_chances", weight
            yield name, {"thresholds": [0.7, 0.2]}, "many_bits", "many_chances", weight
            yield name, {"thresholds": [0.0, 0.5, 1.0]}, "many_bits", "many_chances", weight
        for curve in "ROC", "PR", "PRGAIN":
            for method in "interpolation", "minoring", "majoring":
                yield "AUC", {"curve": curve, "summation_method": method}, "many_bits", "many_chances", weight
        yield "AUC", {"num_thresholds": 7}, "many_bits", "many_chances", weight
        yield "AUC", {"thresholds": [0.8, 0.1, 0.15]}, "many_bits", "many_chances", weight
        yield "SensitivityAtSpecificity", {"specificity": 0.6}, "many_bits", "many_chances", weight
        yield "SpecificityAtSensitivity", {"sensitivity": 0.6, "num_thresholds": 20}, "many_bits", "many_chances", weight
        yield "PrecisionAtRecall", {"recall": 0.4}, "many_bits", "many_chances", weight
        yield "RecallAtPrecision", {"precision": 0.5}, "many_bits", "many_chances", weight
    yield "AUC", {"from_logits": True}, "bits", "logits", None
    yield "AUC", {"multi_label": True}, "many_labels", "many_label_chances", None
    yield "AUC", {"multi_label": True, "label_weights": [1.0, 3.0], "curve": "PR"}, "many_labels", "many_label_chances", None
    yield "AUC", {"label_weights": [1.0, 3.0]}, "many_labels", "many_label_chances", None
    for name in "Precision", "Recall":
        yield name, {"top_k": 2}, "bits", "chances", "w"
        yield name, {"class_id": 1}, "bits", "chances", "w"
        yield name, {"top_k": 1, "class_id": 2, "thresholds": 0.3}, "one_hot", "shares", None
    yield "MeanIoU", {"num_classes": 3}, "labels", "label_guesses", None
    yield "MeanIoU", {"num_classes": 4, "ignore_class": 0, "sparse_y_pred": False}, "steps_labels", "steps_shares", None
    yield "IoU", {"num_classes": 3, "target_class_ids": [0, 2]}, "labels", "label_guesses", None
    yield "BinaryIoU", {"threshold": 0.4}, "bits", "chances", None
    yield "OneHotIoU", {"num_classes": 3, "target_class_ids": [1]}, "one_hot", "shares", None
    yield "OneHotMeanIoU", {"num_classes": 3}, "steps_one_hot", "steps_shares", None
    for name in "Mean", "Sum":
        for values, weight in ("vector", None), ("vector", "w"), ("reals", "w"), ("reals", "w_each"), ("reals", None):
            yield name, {}, values, None, weight


def on_weights():
    for name, arguments in [("L1", {}), ("L2", {"l2": 0.3}), ("L1L2", {"l1": 0.1, "l2": 0.2}), ("L1L2", {})]:
        yield "regularizers", name, arguments
    for mode in "rows", "columns":
        yield "regularizers", "OrthogonalRegularizer", {"factor": 0.3, "mode": mode}
    yield "constraints", "NonNeg", {}
    for axis in 0, 1, [0, 1]:
        yield "constraints", "UnitNorm", {"axis": axis}
        yield "constraints", "MaxNorm", {"max_value": 0.9, "axis": axis}
        yield "constraints", "MinMaxNorm", {"min_value": 0.8, "max_value": 1.1, "rate": 0.7, "axis": axis}


def arrays(*names):
    return [None if name is None else INPUTS[name] for name in names]


def said_by_loss(name, arguments, y_true, y_pred, weight):
    return getattr(keras.losses, name)(**arguments)(*arrays(y_true, y_pred, weight))


def said_by_metric(name, arguments, y_true, y_pred, weight):
    metric = getattr(keras.metrics, name)(**arguments)
    for half in slice(0, None, 2), slice(1, None, 2):  # two batches of other samples
        parts = [None if value is None else value[half] for value in arrays(y_true, y_pred, weight)]
        metric.update_state(*[part for part in parts[:2] if part is not None], sample_weight=parts[2])
    return metric.result()


def said_of_weight(module, name, arguments):
    return getattr(getattr(keras, module), name)(**arguments)(keras.ops.convert_to_tensor(INPUTS["reals"], "float32"))


def rows(cases, said):
    return [json.dumps([*case, np.round(np.asarray(said(*case), "float64"), 7).tolist()]) for case in cases]


def main():
    inputs = [json.dumps(name) + ": " + json.dumps(value.tolist()) for name, value in INPUTS.items()]
    parts = {
        "losses": rows(losses(), said_by_loss),
        "metrics": rows(metrics(), said_by_metric),
        "weights": rows(on_weights(), said_of_weight),
    }
    text = [f'"{name}": [\n' + ",\n".join(lines) + "\n]" for name, lines in parts.items()]
    whole = "{\n" + ",\n".join([f'"keras": "{keras.__version__}"', '"inputs": {\n' + ",\n".join(inputs) + "\n}", *text]) + "\n}\n"
    (Path(__file__).parent / "keras_values.json").write_text(whole)


if __name__ == "__main__":
    main()
