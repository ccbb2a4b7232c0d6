"""``tf.random``: numbers of graphc's generator, Threefry, so they are not TensorFlow's, but the same seed gives the same ones.

Each draw has a key of its own: the seed, and how many were made since ``set_seed``. The ``stateless`` functions take the key itself.
"""

from __future__ import annotations

import secrets
import threading
from typing import Any, Final

import numpy as np

import graphc as gc
from graphc.compat.tensorflow.dtypes import name_of, shape_of
from graphc.compat.tensorflow.eager import function
from graphc.compat.tensorflow.tensor import Tensor, convert, tensor_of
from graphc.core import dtypes
from graphc.core.errors import ArgumentError

WORD: Final = 1 << 32


class _State:
    """The seed, and the number of draws since it was set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.set(secrets.randbits(32))

    def set(self, seed: int) -> None:
        with self._lock:
            self.seed, self.count = int(seed) % WORD, 0

    def key(self, seed: int | None) -> Tensor:
        """The key of the next draw; a ``seed`` of the draw's own makes another sequence of keys."""
        with self._lock:
            self.count += 1
            words = (self.seed, self.count)
        if seed is not None:
            words = tuple(np.random.SeedSequence([*words, int(seed) % WORD]).generate_state(2))
        return tensor_of(np.array(words, np.uint32))


_state: Final = _State()


def set_seed(seed: int) -> None:
    """From here on the numbers are those of this seed."""
    _state.set(seed)


@function("key", "mean", "stddev", apart=("key",))
def _normal(key: Any, mean: Any, stddev: Any, shape: Any, dtype: str) -> Any:
    return gc.random.normal(key, shape, mean, stddev, dtype)


@function("key", "minval", "maxval", apart=("key",))
def _uniform(key: Any, minval: Any, maxval: Any, shape: Any, dtype: str) -> Any:
    return gc.random.uniform(key, shape, minval, maxval, dtype)


@function("key")
def _integers(key: Any, shape: Any, low: int, high: int, dtype: str) -> Any:
    return gc.random.randint(key, shape, low, high, dtype)


@function("key")
def _truncated(key: Any, shape: Any, dtype: str) -> Any:
    return gc.random.truncated_normal(key, -2.0, 2.0, shape, dtype)


@function("key", "value", apart=("key",))
def _shuffled(key: Any, value: Any) -> Any:
    return gc.random.permutation(key, value)


@function("key", "logits", apart=("key",), floats=True)
def _categorical(key: Any, logits: Any, count: int, dtype: str) -> Any:
    rows = gc.random.categorical(key, logits, axis=-1, shape=(count, logits.shape[0]))
    return gc.cast(gc.transpose(rows), dtype=dtype)


def _drawn_normal(key: Tensor, shape: Any, mean: Any, stddev: Any, dtype: Any) -> Tensor:
    name = name_of(dtype)
    return _normal(key, convert(mean, like=name), convert(stddev, like=name), shape=shape_of(shape), dtype=name)


def _drawn_uniform(key: Tensor, shape: Any, minval: Any, maxval: Any, dtype: Any) -> Tensor:
    name = name_of(dtype)
    if dtypes.is_integer(name):
        if maxval is None:
            raise ArgumentError(f"uniform of {name} without maxval", fits="maxval=, above all numbers")
        return _integers(key, shape=shape_of(shape), low=int(minval), high=int(maxval), dtype=name)
    return _uniform(key, convert(minval, like=name), convert(1 if maxval is None else maxval, like=name), shape=shape_of(shape), dtype=name)


def normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", seed: int | None = None, name: str | None = None
) -> Tensor:
    """Normal with this mean and standard deviation."""
    return _drawn_normal(_state.key(seed), shape, mean, stddev, dtype)


def uniform(
    shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32", seed: int | None = None, name: str | None = None
) -> Tensor:
    """Uniform in ``[minval, maxval)``: numbers below 1 by default, whole ones for a dtype of whole numbers."""
    return _drawn_uniform(_state.key(seed), shape, minval, maxval, dtype)


def truncated_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", seed: int | None = None, name: str | None = None
) -> Tensor:
    """Normal, given that it is within two standard deviations."""
    return _truncated(_state.key(seed), shape=shape_of(shape), dtype=name_of(dtype)) * stddev + mean


def shuffle(value: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """The items of the first axis in random order."""
    return _shuffled(_state.key(seed), value)


def categorical(logits: Any, num_samples: int, dtype: Any = "int64", seed: int | None = None, name: str | None = None) -> Tensor:
    """For each row of logits so many indices, drawn with the probabilities of their softmax."""
    return _categorical(_state.key(seed), logits, count=int(num_samples), dtype=name_of(dtype))


def _own_key(seed: Any) -> Tensor:
    words = convert(seed).array
    if words.shape != (2,):
        raise ArgumentError(f"seed={seed!r}", fits="two whole numbers")
    return tensor_of((words.astype(np.int64) % WORD).astype(np.uint32))


def stateless_normal(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", name: str | None = None, alg: Any = None
) -> Tensor:
    """Normal numbers that depend on the arguments alone; ``seed`` is two whole numbers."""
    return _drawn_normal(_own_key(seed), shape, mean, stddev, dtype)


def stateless_uniform(
    shape: Any, seed: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32", name: str | None = None, alg: Any = None
) -> Tensor:
    """Uniform numbers that depend on the arguments alone; ``seed`` is two whole numbers."""
    return _drawn_uniform(_own_key(seed), shape, minval, maxval, dtype)


__all__ = [
    "categorical",
    "normal",
    "set_seed",
    "shuffle",
    "stateless_normal",
    "stateless_uniform",
    "truncated_normal",
    "uniform",
]
