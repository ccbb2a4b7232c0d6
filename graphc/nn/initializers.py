"""First values of weights, with Keras's names, arguments and defaults: objects that draw an array for a shape.

The numbers are those of :mod:`graphc.init`: one seed gives the same bits on every machine. An initializer without a seed takes one when it
is made, which ``set_random_seed`` decides; it draws the same values each time that it is called, as in Keras.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, cast

import numpy as np

from graphc import init
from graphc.core import dtypes
from graphc.core.errors import ShapeError, UnfinishedError
from graphc.feed.batches import whole_number
from graphc.nn.configured import ConfiguredRecord
from graphc.nn.naming import find, spelled
from graphc.nn.seeds import make_seed

Array = np.ndarray[Any, Any]
Shape = Sequence[int]


class Initializer(ConfiguredRecord):
    """What gives a weight its first value: called with a shape and a dtype (float32 by default) it returns an array.

    Subclasses say which, in ``values``.
    """

    kind: ClassVar[str] = "initializer"

    def __call__(self, shape: Shape, dtype: Any = None) -> Array:
        """The array. Raises :class:`ShapeError` for a shape that it has no values for."""
        return self.values(tuple(shape), dtypes.canonical(dtype or "float32"))

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        """An array of this shape and dtype."""
        raise UnfinishedError(f"{type(self).__name__}.values(shape, dtype)", fits="a subclass that defines it")


class Zeros(Initializer):
    """Zeros."""

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        """See :func:`graphc.init.zeros`."""
        return init.zeros(shape, dtype)


class Ones(Initializer):
    """Ones."""

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        """See :func:`graphc.init.ones`."""
        return init.ones(shape, dtype)


class Constant(Initializer):
    """A number, or an array that is broadcast to the shape."""

    value: Any = 0.0

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        """The value in each place."""
        value = np.asarray(self.value, dtypes.numpy_dtype(dtype))
        try:
            return np.broadcast_to(value, shape).copy()
        except ValueError:
            raise ShapeError(f"Constant: a value of shape {value.shape} for a weight of shape {shape}", fits=f"shape {shape}") from None


class Identity(Initializer):
    """``gain`` on the diagonal of a matrix, 0 beside it."""

    gain: float = 1.0

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        """See :func:`numpy.eye`."""
        if len(shape) != 2:
            raise ShapeError(f"Identity: {shape} is the shape of no matrix", fits="two axes")
        return (self.gain * np.eye(*shape)).astype(dtypes.numpy_dtype(dtype))


class RandomInitializer(Initializer):
    """An initializer with a seed: a whole number from 0, or None."""

    seed: int | None = None
    used_seed: ClassVar[int]
    """``seed``, or the one taken instead of None."""

    def __post_init__(self) -> None:
        """Check the seed, and take one if there is none. Raises :class:`ArgumentError`."""
        given = None if self.seed is None else whole_number(f"{type(self).__name__}: seed", self.seed, least=0)
        self._set("used_seed", make_seed() if given is None else given)


class RandomNormal(RandomInitializer):
    """Normal."""

    mean: float = 0.0
    stddev: float = 0.05

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        """See :func:`graphc.init.normal`."""
        return init.normal(shape, self.mean, self.stddev, seed=self.used_seed, dtype=dtype)


class TruncatedNormal(RandomInitializer):
    """Normal, with what is more than two standard deviations from the mean drawn again."""

    mean: float = 0.0
    stddev: float = 0.05

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        """See :func:`graphc.init.truncated_normal`."""
        return init.truncated_normal(shape, self.mean, self.stddev, seed=self.used_seed, dtype=dtype)


class RandomUniform(RandomInitializer):
    """Uniform in ``[minval, maxval)``."""

    minval: float = -0.05
    maxval: float = 0.05

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        """See :func:`graphc.init.uniform`."""
        return init.uniform(shape, self.minval, self.maxval, seed=self.used_seed, dtype=dtype)


class Orthogonal(RandomInitializer):
    """``gain`` times a matrix with orthonormal columns, or rows if it is wider than high."""

    gain: float = 1.0

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        """See :func:`graphc.init.orthogonal`."""
        return init.orthogonal(shape, self.gain, seed=self.used_seed, dtype=dtype)


class _Scaled(RandomInitializer):
    """Values scaled by the numbers of inputs and outputs of a unit; a vector of n counts as n of each, as in Keras."""

    seed: int | None = None
    input_axes: Sequence[int] | None = None
    output_axes: Sequence[int] | None = None
    scaling: ClassVar[tuple[float, str, str]] = 1.0, "fan_in", "truncated_normal"
    """Scale, mode and distribution, as :func:`graphc.init.variance_scaling` takes them."""

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        """See :func:`graphc.init.variance_scaling`."""
        inputs, outputs = self.input_axes, self.output_axes
        if len(shape) < 2 and (inputs is None or outputs is None):
            inputs = outputs = range(len(shape))
        return init.variance_scaling(shape, *self.scaling, input_axes=inputs, output_axes=outputs, seed=self.used_seed, dtype=dtype)


class VarianceScaling(_Scaled):
    """Mean 0 and variance ``scale / fan``: see :func:`graphc.init.variance_scaling`."""

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "truncated_normal"

    def __post_init__(self) -> None:
        """Check the arguments. Raises :class:`ArgumentError`."""
        super().__post_init__()
        self._set("scaling", (self.scale, self.mode, self.distribution))
        init.check_scaling(*self.scaling)


class GlorotUniform(_Scaled):
    """Uniform in ``±sqrt(6 / (fan_in + fan_out))`` (Glorot and Bengio, 2010)."""

    scaling = 1.0, "fan_avg", "uniform"


class GlorotNormal(_Scaled):
    """Truncated normal with variance ``2 / (fan_in + fan_out)`` (Glorot and Bengio, 2010)."""

    scaling = 1.0, "fan_avg", "truncated_normal"


class LecunUniform(_Scaled):
    """Uniform in ``±sqrt(3 / fan_in)`` (LeCun et al., 1998)."""

    scaling = 1.0, "fan_in", "uniform"


class LecunNormal(_Scaled):
    """Truncated normal with variance ``1 / fan_in`` (LeCun et al., 1998)."""

    scaling = 1.0, "fan_in", "truncated_normal"


class HeUniform(_Scaled):
    """Uniform in ``±sqrt(6 / fan_in)`` (He et al., 2015)."""

    scaling = 2.0, "fan_in", "uniform"


class HeNormal(_Scaled):
    """Truncated normal with variance ``2 / fan_in`` (He et al., 2015)."""

    scaling = 2.0, "fan_in", "truncated_normal"


CLASSES: Final[tuple[type[Initializer], ...]] = (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
TABLE: Final = spelled(
    CLASSES,
    normal=RandomNormal,
    uniform=RandomUniform,
    zero=Zeros,
    one=Ones,
    IdentityInitializer=Identity,
    OrthogonalInitializer=Orthogonal,
)
"""Every initializer by the names that it has in Keras."""
constant, identity, ones, zeros = Constant, Identity, Ones, Zeros
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform, orthogonal, variance_scaling = LecunNormal, LecunUniform, Orthogonal, VarianceScaling
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal


def get(identifier: Any) -> Any:
    """The initializer that is meant: one, its name or config, a function of ``shape`` and ``dtype``, or an array. None stays None.

    Raises:
        ArgumentError: no such initializer.
    """
    if isinstance(identifier, np.ndarray | np.generic):
        return Constant(cast("Array", identifier))
    return find(identifier, "initializer", TABLE)
