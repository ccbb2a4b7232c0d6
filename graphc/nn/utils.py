"""Keras's helpers for data and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.core.errors import ArgumentError, ShapeError
from graphc.nn.seeds import set_random_seed

__all__ = ["normalize", "pad_sequences", "set_random_seed", "to_categorical"]

Array = np.ndarray[Any, Any]


def to_categorical(x: Any, num_classes: int | None = None) -> Array:
    """Whole numbers as rows of zeros with a one: float64, of the shape of ``x`` and a last axis for the classes.

    A last axis of size 1 goes. ``num_classes`` is one more than the largest number by default.

    Raises :class:`ArgumentError` for numbers that are no class.
    """
    labels = np.asarray(x)
    if labels.size and not np.array_equal(labels, labels.astype(np.int64)):
        raise ArgumentError("to_categorical: labels with fractions", given=[f"{labels.dtype} {labels.shape}"], fits="whole numbers from 0")
    labels = labels.astype(np.int64)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    classes = int(num_classes or (labels.max() + 1 if labels.size else 0))
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        given = [f"num_classes: {num_classes}"]
        raise ArgumentError(f"to_categorical: labels from {labels.min()} to {labels.max()}", given=given, fits=f"0 to {classes - 1}")
    rows = np.zeros((labels.size, classes))
    rows[np.arange(labels.size), labels.reshape(-1)] = 1
    return rows.reshape(*labels.shape, classes)


def normalize(x: Any, axis: int = -1, order: int = 2) -> Array:
    """The array over the lengths of its vectors along ``axis``; ``order`` is that of the norm. Vectors of zeros stay as they are."""
    array = np.asarray(x)
    length = np.linalg.norm(array, order, axis, keepdims=True)
    return array / np.where(length == 0, 1, length)


def pad_sequences(
    sequences: Sequence[Sequence[Any]],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> Array:
    """Sequences of several lengths as one array of shape ``(count, maxlen, ...)``.

    Args:
        sequences: lists or arrays; their items have one shape.
        maxlen: how many items each gets; by default those of the longest.
        dtype: of the result.
        padding: whether ``value`` comes before (``"pre"``) or after (``"post"``) the items of a sequence that is shorter.
        truncating: whether items go from the start or the end of one that is longer.
        value: what it is filled up with.

    Raises:
        ArgumentError: another word for ``padding`` or ``truncating``. ShapeError: items of several shapes, or no sequences.
    """
    for name, choice in (("padding", padding), ("truncating", truncating)):
        if choice not in ("pre", "post"):
            raise ArgumentError(f"pad_sequences: {name}={choice!r}", fits="'pre' or 'post'")
    lengths = [_length(sequence, place) for place, sequence in enumerate(sequences)]
    most = max(lengths, default=0) if maxlen is None else int(maxlen)
    shape = next((np.asarray(sequence).shape[1:] for sequence in sequences if len(sequence)), ())
    padded = np.full((len(lengths), most, *shape), value, dtype=dtype)
    for place, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
        count = min(length, most)
        kept = np.asarray(sequence[length - count :] if truncating == "pre" else sequence[:count], dtype=dtype)
        if count and kept.shape[1:] != shape:
            raise ShapeError(f"pad_sequences: items of shape {kept.shape[1:]} in sequence {place}", fits=f"{shape}, as in those before")
        start = most - count if padding == "pre" else 0
        padded[place, start : start + count] = kept.reshape(count, *shape)
    return padded


def _length(sequence: Any, place: int) -> int:
    if not hasattr(sequence, "__len__"):
        raise ShapeError(f"pad_sequences: item {place} is {sequence!r}, and no sequence", fits="a list of lists")
    return len(sequence)
