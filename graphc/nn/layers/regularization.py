"""Layers that add noise in training, penalise activations, or say which steps count.

Noise is drawn by counting (:mod:`graphc.random`): a seed gives the same numbers on every backend.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final

import graphc as gc
from graphc.core.errors import ArgumentError, UnfinishedError
from graphc.core.op import as_dtype
from graphc.nn import regularizers
from graphc.nn.layer import Layer, Shape
from graphc.nn.layers.common import AXES, Format, check_axes, data_format_of, share
from graphc.nn.seeds import SeedGenerator


class Noisy(Layer):
    """A layer that changes its input in training alone."""

    supports_masking = True

    def __init__(self, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def call(self, inputs: gc.Tensor, training: bool = False) -> gc.Tensor:
        """The input, or in training what noise makes of it."""
        inputs = as_dtype(inputs, self.dtype)
        return self.disturbed(inputs) if training and self.amount > 0 else inputs

    @property
    def amount(self) -> float:
        """How strong the noise is; there is none at 0."""
        raise UnfinishedError(f"{type(self).__name__}.amount", fits="a subclass that defines it")

    def disturbed(self, x: gc.Tensor) -> gc.Tensor:
        """What noise makes of a tensor."""
        raise UnfinishedError(f"{type(self).__name__}.disturbed(x)", fits="a subclass that defines it")


class Dropout(Noisy):
    """In training each element is 0 with probability ``rate``, and else divided by ``1 - rate`` (N. Srivastava et al., 2014).

    ``noise_shape``, which broadcasts to that of the input, says where elements share their fate; None in it stands for the input's size:
    ``(None, 1, None)`` drops whole features of sequences. Raises :class:`ArgumentError` for a rate that is not from 0 to 1.
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.rate = share(self, "rate", rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    @property
    def amount(self) -> float:
        """The rate."""
        return self.rate

    def shape_of_noise(self, x: gc.Tensor) -> Any:
        """The shape of what is drawn. Raises :class:`ArgumentError` where ``noise_shape`` has None beyond the axes of the input."""
        if self.noise_shape is None:
            return x.shape
        if None not in self.noise_shape:
            return self.noise_shape
        if len(self.noise_shape) != x.ndim:
            raise ArgumentError(f"{self.name}: noise_shape is {self.noise_shape} for an input of shape {x.shape}", fits=f"{x.ndim} sizes")
        return tuple([own if size is None else size for size, own in zip(self.noise_shape, x.shape, strict=True)])

    def disturbed(self, x: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.dropout`."""
        return gc.dropout(x, self.rate, self.seed_generator.next(), self.shape_of_noise(x))


class SpatialDropout(Dropout):
    """See :class:`SpatialDropout2D`."""

    rank: ClassVar[int]
    data_format: Format = "channels_last"

    def build(self, input_shape: Shape) -> None:
        """Check how many axes there are."""
        check_axes(self, input_shape, self.rank + 2, f"a batch, {AXES[self.rank]}, channels")

    def shape_of_noise(self, x: gc.Tensor) -> Any:
        """One for all places of a channel."""
        ones = (1,) * self.rank
        return (x.shape[0], *ones, x.shape[-1]) if self.data_format == "channels_last" else (*x.shape[:2], *ones)


class SpatialDropout1D(SpatialDropout):
    """:class:`Dropout` of whole features of sequences, ``(batch, steps, features)``. See :class:`SpatialDropout2D`."""

    rank = 1

    def __init__(self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None, **options: Any) -> None:
        super().__init__(rate, None, seed, name=name, dtype=dtype, **options)


class SpatialDropout2D(SpatialDropout):
    """:class:`Dropout` of whole channels of images, ``(batch, height, width, channels)`` (J. Tompson et al., 2015)."""

    rank = 2

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(rate, None, seed, name=name, dtype=dtype, **options)
        self.data_format = data_format_of(self, data_format)


class SpatialDropout3D(SpatialDropout2D):
    """:class:`Dropout` of whole channels of volumes, ``(batch, depth, height, width, channels)``. See :class:`SpatialDropout2D`."""

    rank = 3


class GaussianDropout(Noisy):
    """In training times normal numbers with mean 1 and standard deviation ``sqrt(rate / (1 - rate))`` (N. Srivastava et al., 2014).

    Raises :class:`ArgumentError` for a rate that is not from 0 to less than 1.
    """

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.rate = share(self, "rate", rate, whole=False)

    @property
    def amount(self) -> float:
        """The rate."""
        return self.rate

    def disturbed(self, x: gc.Tensor) -> gc.Tensor:
        """See the class."""
        stddev = math.sqrt(self.rate / (1 - self.rate))
        return x * gc.random.normal(self.seed_generator.next(), x.shape, 1.0, stddev, x.dtype)


class GaussianNoise(Noisy):
    """In training plus normal numbers with mean 0 and standard deviation ``stddev``. Raises :class:`ArgumentError` if that is below 0."""

    def __init__(self, stddev: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        if not 0 <= stddev < math.inf:
            raise ArgumentError(f"GaussianNoise: stddev is {stddev!r}", fits="a number from 0")
        self.stddev = stddev

    @property
    def amount(self) -> float:
        """The standard deviation."""
        return self.stddev

    def disturbed(self, x: gc.Tensor) -> gc.Tensor:
        """See the class."""
        return x + gc.random.normal(self.seed_generator.next(), x.shape, 0.0, self.stddev, x.dtype)


_LOWEST: Final = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946
"""Where ``selu`` ends to the left: what units are set to that are dropped."""


class AlphaDropout(Dropout):
    """:class:`Dropout` that keeps mean 0 and variance 1, for ``selu`` (G. Klambauer et al., 2017).

    In training an element is, with probability ``rate``, the least that ``selu`` gives; then all are scaled and shifted. Raises
    :class:`ArgumentError` for a rate that is not from 0 to less than 1.
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **options: Any) -> None:
        super().__init__(share(self, "rate", rate, whole=False), noise_shape, seed, **options)

    def disturbed(self, x: gc.Tensor) -> gc.Tensor:
        """See the class."""
        kept = gc.random.bernoulli(self.seed_generator.next(), 1 - self.rate, self.shape_of_noise(x))
        a = ((1 - self.rate) * (1 + self.rate * _LOWEST**2)) ** -0.5
        return a * gc.where(kept, x, _LOWEST) - a * _LOWEST * self.rate


class ActivityRegularization(Layer):
    """What comes in; ``l1 * sum(|x|) + l2 * sum(x²)`` is added to the loss."""

    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **options: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **options)
        self.l1, self.l2 = l1, l2

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """The input."""
        return inputs


class Masking(Layer):
    """Says which steps count: those of which one feature is not ``mask_value``. The features of the others are 0 in the output.

    ``(batch, steps, features)``, whose mask is ``(batch, steps)``.
    """

    supports_masking = True

    def __init__(self, mask_value: Any = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.mask_value = mask_value

    def compute_mask(self, inputs: gc.Tensor, previous_mask: Any) -> gc.Tensor:
        """Whether a feature is not ``mask_value``."""
        return gc.any(gc.not_equal(inputs, gc.constant(self.mask_value, inputs.dtype)), axis=-1)

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """The steps that count, and zeros."""
        return gc.where(gc.expand_dims(self.compute_mask(inputs, None), axis=-1), inputs, 0)
