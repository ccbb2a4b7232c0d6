"""Keras's helpers for data, with the values that Keras documents."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.core.errors import ArgumentError, ShapeError
from graphc.nn.utils import normalize, pad_sequences, to_categorical


def test_to_categorical() -> None:
    rows = to_categorical([0, 2, 1])
    assert (rows.dtype, rows.tolist()) == (np.float64, [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert to_categorical(np.array([[1], [0]], "uint8"), 4).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]
    assert to_categorical([[0, 1]]).shape == (1, 2, 2)
    assert to_categorical(1, 3).tolist() == [0, 1, 0]
    assert to_categorical([], 3).shape == (0, 3)


@pytest.mark.parametrize(("labels", "classes"), [([3], 3), ([-1], None), ([0.5], None)])
def test_to_categorical_refuses(labels: list[float], classes: int | None) -> None:
    with pytest.raises(ArgumentError, match="to_categorical"):
        to_categorical(labels, classes)


def test_normalize() -> None:
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    assert normalize(x).tolist() == [[0.6, 0.8], [0, 0]]
    assert normalize(x, axis=0).tolist() == [[1, 1], [0, 0]]
    assert normalize(x, order=1)[0].tolist() == pytest.approx([3 / 7, 4 / 7])


SEQUENCES = [[1], [2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0, 0, 1], [0, 2, 3], [4, 5, 6]]),
        ({"value": -1}, [[-1, -1, 1], [-1, 2, 3], [4, 5, 6]]),
        ({"padding": "post"}, [[1, 0, 0], [2, 3, 0], [4, 5, 6]]),
        ({"maxlen": 2}, [[0, 1], [2, 3], [5, 6]]),
        ({"maxlen": 2, "truncating": "post"}, [[0, 1], [2, 3], [4, 5]]),
        ({"maxlen": 4}, [[0, 0, 0, 1], [0, 0, 2, 3], [0, 4, 5, 6]]),
        ({"maxlen": 0}, [[], [], []]),
    ],
)
def test_pad_sequences(options: dict[str, object], expected: list[list[int]]) -> None:
    padded = pad_sequences(SEQUENCES, **options)
    assert (padded.dtype, padded.tolist()) == (np.int32, expected)


def test_pad_sequences_of_vectors_and_empty_ones() -> None:
    padded = pad_sequences([[], [[1.0, 2.0]]], dtype="float32")
    assert padded.tolist() == [[[0, 0]], [[1, 2]]]
    assert pad_sequences([]).shape == (0, 0)


def test_pad_sequences_refuses() -> None:
    with pytest.raises(ArgumentError, match="'pre' or 'post'"):
        pad_sequences([[1]], padding="before")
    with pytest.raises(ShapeError, match="no sequence"):
        pad_sequences([1])
    with pytest.raises(ShapeError, match="in sequence 1"):
        pad_sequences([[[1, 2]], [[1, 2, 3]]])
