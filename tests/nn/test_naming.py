"""Names by Keras's spelling rules, and what is said of those that are none."""

from __future__ import annotations

from typing import Any

import pytest

import graphc as gc
from graphc.nn import constraints, initializers, losses, metrics, regularizers
from graphc.nn.naming import find, reset_names, snake_case, spelled, unique_name

HOMES: dict[str, Any] = {
    "constraint": constraints,
    "initializer": initializers,
    "loss": losses,
    "metric": metrics,
    "regularizer": regularizers,
}


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("MeanSquaredError", "mean_squared_error"),
        ("Conv2D", "conv2d"),
        ("LSTM", "lstm"),
        ("KLDivergence", "kl_divergence"),
        ("L1L2", "l1l2"),
        ("<Dense>", "dense"),
    ],
)
def test_snake_case_is_kerass(name: str, written: str) -> None:
    assert snake_case(name) == written


@pytest.mark.parametrize(
    ("kind", "name", "cls"),
    [
        ("loss", "mse", losses.MeanSquaredError),
        ("loss", "MAPE", losses.MeanAbsolutePercentageError),
        ("loss", "sparse_categorical_crossentropy", losses.SparseCategoricalCrossentropy),
        ("loss", "kl_divergence", losses.KLDivergence),
        ("loss", "huber", losses.Huber),
        ("metric", "auc", metrics.AUC),
        ("metric", "mae", metrics.MeanAbsoluteError),
        ("metric", "MeanIoU", metrics.MeanIoU),
        ("initializer", "glorot_uniform", initializers.GlorotUniform),
        ("initializer", "HeNormal", initializers.HeNormal),
        ("initializer", "zero", initializers.Zeros),
        ("initializer", "normal", initializers.RandomNormal),
        ("regularizer", "l2", regularizers.L2),
        ("regularizer", "l1_l2", regularizers.L1L2),
        ("constraint", "max_norm", constraints.MaxNorm),
        ("constraint", "non_neg", constraints.NonNeg),
    ],
)
def test_names_of_keras_are_found(kind: str, name: str, cls: type) -> None:
    assert HOMES[kind].TABLE[name] is cls


@pytest.mark.parametrize("kind", HOMES)
def test_every_class_is_found_by_each_spelling_and_by_its_config(kind: str) -> None:
    table = HOMES[kind].TABLE
    for cls in HOMES[kind].CLASSES:
        assert table[cls.__name__] is table[snake_case(cls.__name__)] is table[cls.__name__.lower()] is cls
        needed = {"IoU": {"num_classes": 2, "target_class_ids": [1]}, "OneHotIoU": {"num_classes": 2, "target_class_ids": [1]}}
        needed |= {name: {"num_classes": 2} for name in ("MeanIoU", "OneHotMeanIoU")}
        needed |= {"SensitivityAtSpecificity": {"specificity": 0.5}, "SpecificityAtSensitivity": {"sensitivity": 0.5}}
        needed |= {"PrecisionAtRecall": {"recall": 0.5}, "RecallAtPrecision": {"precision": 0.5}}
        made = cls(**needed.get(cls.__name__, {})) if kind == "metric" else cls()
        config = {"kind": kind, "class_name": cls.__name__, "config": made.get_config()}
        again = HOMES[kind].get(config)
        assert type(again) is cls
        assert again.get_config() == made.get_config()


@pytest.mark.parametrize("kind", HOMES)
def test_an_object_a_class_a_function_and_none_are_what_they_are(kind: str) -> None:
    cls = HOMES[kind].CLASSES[-1]

    def function(*_: Any) -> None:
        """The user's own."""

    made = cls()
    assert find(made, kind, {}) is made
    assert type(find(cls, kind, {})) is cls
    assert find(function, kind, {}) is function
    assert HOMES[kind].get(None) is None


@pytest.mark.parametrize(
    ("kind", "what", "words"),
    [
        ("loss", "mean_square_error", ["no loss 'mean_square_error'", "'mean_squared_error'"]),
        ("loss", "MSEE", ["no loss 'MSEE'", "'MSE'"]),
        ("initializer", "glorot_unifrom", ["no initializer", "'glorot_uniform'"]),
        ("metric", "recal", ["no metric", "'recall'"]),
        ("regularizer", "zzz", ["no regularizer", "l1_l2"]),
        ("constraint", 3, ["3 of type int is no constraint", "a constraint, its name, or a function"]),
        ("constraint", {"kind": "loss", "class_name": "Hinge", "config": {}}, ["no config of a constraint"]),
        ("loss", {"kind": "loss", "class_name": "Hing", "config": {}}, ["'Hing', which is not known"]),
    ],
)
def test_what_is_none_is_refused_with_the_nearest_name(kind: str, what: Any, words: list[str]) -> None:
    with pytest.raises(gc.errors.ArgumentError) as caught:
        HOMES[kind].get(what)
    for word in words:
        assert word in str(caught.value)


def test_aliases_are_in_the_table_as_they_are() -> None:
    assert spelled([dict], other=list) == {"dict": dict, "other": list}


def test_names_are_counted() -> None:
    reset_names()
    assert [unique_name("dense"), unique_name("dense"), unique_name("lstm"), unique_name("dense")] == [
        "dense",
        "dense_1",
        "lstm",
        "dense_2",
    ]
    reset_names()
    assert unique_name("dense") == "dense"
    reset_names()
