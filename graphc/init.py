"""First values of variables: NumPy arrays, drawn from a seed.

Each function takes ``shape``, ``seed`` and ``dtype`` (float32 by default) and returns an array. The same seed gives the same bits; None
gives others each time. The distributions are Keras's; ``graphc.nn.initializers`` has them as objects that remember their arguments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from graphc.core import dtypes
from graphc.core.errors import ArgumentError, ShapeError, open_to_users

Array = np.ndarray[Any, Any]

MODES: Final = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS: Final = ("truncated_normal", "untruncated_normal", "uniform")
CUT: Final = 2.0
"""Standard deviations from the mean beyond which a truncated normal has nothing."""
CUT_STDDEV: Final = 0.87962566103423978
"""The standard deviation of a standard normal that is cut off there."""


def zeros(shape: Sequence[int], dtype: str = "float32") -> Array:
    """Zeros."""
    return np.zeros(shape, dtypes.numpy_dtype(dtype))


def ones(shape: Sequence[int], dtype: str = "float32") -> Array:
    """Ones."""
    return np.ones(shape, dtypes.numpy_dtype(dtype))


def uniform(shape: Sequence[int], low: float = -0.05, high: float = 0.05, *, seed: int | None = None, dtype: str = "float32") -> Array:
    """Uniform in ``[low, high)``."""
    return np.asarray(np.random.default_rng(seed).uniform(low, high, shape)).astype(dtypes.numpy_dtype(dtype))


def normal(shape: Sequence[int], mean: float = 0.0, stddev: float = 0.05, *, seed: int | None = None, dtype: str = "float32") -> Array:
    """Normal with this mean and standard deviation."""
    return np.asarray(np.random.default_rng(seed).normal(mean, stddev, shape)).astype(dtypes.numpy_dtype(dtype))


def truncated_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 0.05, *, seed: int | None = None, dtype: str = "float32"
) -> Array:
    """Normal, with what is more than two standard deviations from the mean drawn again."""
    random = np.random.default_rng(seed)
    values = np.asarray(random.standard_normal(shape))
    while (beyond := np.abs(values) > CUT).any():
        values[beyond] = random.standard_normal(np.count_nonzero(beyond))
    return (mean + stddev * values).astype(dtypes.numpy_dtype(dtype))


def variance_scaling(
    shape: Sequence[int],
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
    *,
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
    seed: int | None = None,
    dtype: str = "float32",
) -> Array:
    """Mean 0 and variance ``scale / fan``, with the fan that ``mode`` names (see :func:`fans`).

    Args:
        shape: of a kernel.
        scale: a positive number.
        mode: ``"fan_in"``, ``"fan_out"``, or ``"fan_avg"``, the mean of both.
        distribution: ``"truncated_normal"`` (``"normal"`` is another name for it), ``"untruncated_normal"`` or ``"uniform"``.
        input_axes: the axes of the inputs, if they are not the last but one and those of the receptive field.
        output_axes: the axes of the outputs; both are given, or neither.
        seed: of the random numbers.
        dtype: of the values.

    Raises:
        ArgumentError: an unknown mode or distribution, a scale that is not positive, a kernel without fans.
    """
    check_scaling(scale, mode, distribution)
    fan_in, fan_out = fans(shape, input_axes, output_axes)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    if distribution == "uniform":
        limit = math.sqrt(3 * scale / max(1, fan))
        return uniform(shape, -limit, limit, seed=seed, dtype=dtype)
    stddev = math.sqrt(scale / max(1, fan))
    if distribution == "untruncated_normal":
        return normal(shape, 0.0, stddev, seed=seed, dtype=dtype)
    return truncated_normal(shape, 0.0, stddev / CUT_STDDEV, seed=seed, dtype=dtype)


def check_scaling(scale: float, mode: str, distribution: str) -> None:
    """Raises :class:`ArgumentError` for what :func:`variance_scaling` has no meaning for."""
    if not 0 < scale < math.inf:
        raise ArgumentError(f"variance_scaling: scale is {scale}", fits="a positive number")
    if mode not in MODES:
        raise ArgumentError(f"variance_scaling: mode is {mode!r}", fits=", ".join(map(repr, MODES)))
    if distribution not in (*DISTRIBUTIONS, "normal"):
        raise ArgumentError(f"variance_scaling: distribution is {distribution!r}", fits=", ".join(map(repr, DISTRIBUTIONS)))


def glorot_uniform(shape: Sequence[int], *, seed: int | None = None, dtype: str = "float32") -> Array:
    """Uniform in ``±sqrt(6 / (fan_in + fan_out))`` (Glorot and Bengio, 2010): Keras's default for kernels."""
    return variance_scaling(shape, 1.0, "fan_avg", "uniform", seed=seed, dtype=dtype)


def he_normal(shape: Sequence[int], *, seed: int | None = None, dtype: str = "float32") -> Array:
    """Normal with variance ``2 / fan_in`` (He et al., 2015), cut off at two standard deviations."""
    return variance_scaling(shape, 2.0, seed=seed, dtype=dtype)


def orthogonal(shape: Sequence[int], gain: float = 1.0, *, seed: int | None = None, dtype: str = "float32") -> Array:
    """``gain`` times a matrix with orthonormal columns, or rows if it is wider than high (Saxe, McClelland and Ganguli, 2014).

    It is the Q of a normal matrix, with the signs that make it uniform among such matrices (Mezzadri, 2007). Of more than two axes, all
    but the last are those of the rows. Raises :class:`ShapeError` for fewer than two.
    """
    if len(shape) < 2:
        raise ShapeError(f"orthogonal: no matrix has the shape {tuple(shape)}", fits="at least two axes")
    rows, columns = math.prod(shape[:-1]), shape[-1]
    from graphc.parallel import one_blas_thread

    with one_blas_thread:  # whose bits do not depend on the number of threads
        q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return (gain * (q.T if rows < columns else q)).reshape(shape).astype(dtypes.numpy_dtype(dtype))


def fans(shape: Sequence[int], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None) -> tuple[int, int]:
    """How many inputs and outputs a unit of a kernel has; the last two axes are the channels, those before the receptive field.

    ``input_axes`` and ``output_axes`` say otherwise: then the fans are the products of their sizes.
    """
    if input_axes is not None and output_axes is not None:
        return math.prod([shape[axis] for axis in input_axes]), math.prod([shape[axis] for axis in output_axes])
    if len(shape) < 2:
        raise ArgumentError(f"a kernel of shape {tuple(shape)} has no fan", fits="at least two axes: inputs and outputs")
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


open_to_users(
    globals(), ("zeros", "ones", "uniform", "normal", "truncated_normal", "variance_scaling", "glorot_uniform", "he_normal", "orthogonal")
)
