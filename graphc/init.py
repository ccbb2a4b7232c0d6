"""First values of variables: NumPy arrays, drawn from a seed.

Each function takes ``shape``, ``seed`` and ``dtype`` (float32 by default) and returns an array. The same seed gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.core import dtypes
from graphc.core.errors import ArgumentError

Array = np.ndarray[Any, Any]


def zeros(shape: Sequence[int], dtype: str = "float32") -> Array:
    """Zeros."""
    return np.zeros(shape, dtypes.numpy_dtype(dtype))


def ones(shape: Sequence[int], dtype: str = "float32") -> Array:
    """Ones."""
    return np.ones(shape, dtypes.numpy_dtype(dtype))


def uniform(shape: Sequence[int], low: float = -0.05, high: float = 0.05, *, seed: int | None = None, dtype: str = "float32") -> Array:
    """Uniform in ``[low, high)``."""
    return np.random.default_rng(seed).uniform(low, high, shape).astype(dtypes.numpy_dtype(dtype))


def normal(shape: Sequence[int], mean: float = 0.0, stddev: float = 0.05, *, seed: int | None = None, dtype: str = "float32") -> Array:
    """Normal with this mean and standard deviation."""
    return np.random.default_rng(seed).normal(mean, stddev, shape).astype(dtypes.numpy_dtype(dtype))


def glorot_uniform(shape: Sequence[int], *, seed: int | None = None, dtype: str = "float32") -> Array:
    """Uniform in ``±sqrt(6 / (fan_in + fan_out))`` (Glorot and Bengio, 2010): Keras's default for kernels."""
    fan_in, fan_out = fans(shape)
    limit = math.sqrt(6 / max(1, fan_in + fan_out))
    return uniform(shape, -limit, limit, seed=seed, dtype=dtype)


def he_normal(shape: Sequence[int], *, seed: int | None = None, dtype: str = "float32") -> Array:
    """Normal with variance ``2 / fan_in`` (He et al., 2015), not truncated."""
    return normal(shape, 0.0, math.sqrt(2 / max(1, fans(shape)[0])), seed=seed, dtype=dtype)


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """How many inputs and outputs a unit of a kernel has; the last two axes are the channels, those before the receptive field."""
    if len(shape) < 2:
        raise ArgumentError(f"a kernel of shape {tuple(shape)} has no fan", fits="at least two axes: inputs and outputs")
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field
