"""Layers that arrange elements anew: flat, in other shapes, repeated, with a border or without."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import graphc as gc
from graphc.core import sizes
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.op import as_dtype
from graphc.feed.batches import whole_number
from graphc.nn.layer import Layer, Shape
from graphc.nn.layers.common import AXES, Format, an_axis, check_axes, data_format_of, one_of, pairs


class Flatten(Layer):
    """All axes but the first as one: ``(batch, height, width)`` gives ``(batch, height * width)``; ``(batch,)`` gives ``(batch, 1)``.

    ``data_format="channels_first"`` moves the channels to the end before. Raises :class:`ArgumentError` for another one.
    """

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.data_format = data_format_of(self, data_format)

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """The elements of each sample, in row-major order."""
        if self.data_format == "channels_first" and inputs.ndim > 1:
            inputs = gc.moveaxis(inputs, 1, -1)
        return gc.reshape(inputs, (inputs.shape[0], sizes.product(inputs.shape[1:])))


class Reshape(Layer):
    """The elements of each sample, in row-major order, in another shape: ``(batch, ...)`` gives ``(batch, *target_shape)``.

    One size of ``target_shape`` may be -1, and is what is left. Raises :class:`ArgumentError` for another one below 0, :class:`ShapeError`
    where the elements do not fit.
    """

    def __init__(self, target_shape: Any, **options: Any) -> None:
        super().__init__(**options)
        shape = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)
        self.target_shape = tuple([whole_number("Reshape: a size", size, least=-1) for size in shape])
        if self.target_shape.count(-1) > 1:
            raise ArgumentError(f"Reshape: target_shape is {target_shape!r}", fits="-1 once at most")

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.reshape`."""
        rest = sizes.product(tuple([size for size in self.target_shape if size != -1]))
        left = sizes.divide(sizes.product(inputs.shape[1:]), rest) if rest != 0 else None
        if -1 in self.target_shape and left is None:
            raise ShapeError(
                f"{self.name}: samples of shape {inputs.shape[1:]} as {self.target_shape}", fits=f"a multiple of {rest} elements"
            )
        return gc.reshape(inputs, (inputs.shape[0], *[left if size == -1 else size for size in self.target_shape]))


class Permute(Layer):
    """The axes behind the batch in another order: axis ``i`` of the output is axis ``dims[i - 1]`` of the input, both counted from 1.

    ``Permute((2, 1))`` makes ``(batch, b, a)`` of ``(batch, a, b)``. Raises :class:`ArgumentError` unless ``dims`` are 1 to their number in
    some order, :class:`ShapeError` for an input with another number of axes.
    """

    def __init__(self, dims: Any, **options: Any) -> None:
        super().__init__(**options)
        self.dims = tuple([whole_number("Permute: an axis", axis, least=1) for axis in dims])
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ArgumentError(f"Permute: dims is {dims!r}", fits=f"the numbers from 1 to {len(self.dims)}, each once")

    def build(self, input_shape: Shape) -> None:
        """Check how many axes there are."""
        check_axes(self, input_shape, len(self.dims) + 1, f"a batch, and one for each of {self.dims}")

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.transpose`."""
        return gc.transpose(inputs, axes=(0, *self.dims))


class RepeatVector(Layer):
    """A vector ``n`` times: ``(batch, features)`` gives ``(batch, n, features)``. Raises :class:`ArgumentError` for ``n`` below 0."""

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        self.n = whole_number("RepeatVector: n", n, least=0)

    def build(self, input_shape: Shape) -> None:
        """Check how many axes there are."""
        check_axes(self, input_shape, 2, "a batch, features")

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """The copies."""
        return gc.broadcast_to(gc.expand_dims(inputs, axis=1), (inputs.shape[0], self.n, inputs.shape[1]))


class Rescaling(Layer):
    """``inputs * scale + offset``, numbers or arrays that broadcast: ``Rescaling(1 / 255)`` brings bytes to [0, 1]."""

    supports_masking = True

    def __init__(self, scale: Any, offset: Any = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale, self.offset = scale, offset

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """In the layer's dtype."""
        scale, offset = gc.constant(self.scale, self.dtype), gc.constant(self.offset, self.dtype)
        return as_dtype(inputs, self.dtype) * scale + offset


# ---------------------------------------------------------------- larger and smaller
class OfSpace(Layer):
    """A layer that does something along spatial axes, of which it has ``rank``."""

    rank: ClassVar[int]
    data_format: Format = "channels_last"

    def build(self, input_shape: Shape) -> None:
        """Check how many axes there are."""
        check_axes(self, input_shape, self.rank + 2, f"a batch, {AXES[self.rank]}, channels")

    def everywhere(self, spatial: Any, other: Any) -> list[Any]:
        """What is said of each axis: of spatial ones in their order, and of the others."""
        own = list(spatial)
        return [other, *own, other] if self.data_format == "channels_last" else [other, other, *own]


class UpSampling(OfSpace):
    """See :class:`UpSampling2D`."""

    size: tuple[int, ...]

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """The copies of each item beside each other."""
        for axis, times in enumerate(self.everywhere(self.size, 1)):
            inputs = inputs if times == 1 else gc.repeat(inputs, times, axis=axis)
        return inputs


class UpSampling1D(UpSampling):
    """Each step ``size`` times: ``(batch, steps, features)`` gives ``(batch, steps * size, features)``."""

    rank = 1

    def __init__(self, size: int = 2, **options: Any) -> None:
        super().__init__(**options)
        self.size = an_axis(self, "size", size, 1)


_INTERPOLATIONS: Final = ("nearest", "bilinear", "bicubic")


class UpSampling2D(UpSampling):
    """Images ``size`` times as large: ``(batch, height, width, channels)`` gives ``(batch, height * size, width * size, channels)``.

    ``size`` is a number, or one for each axis. ``interpolation`` is ``"nearest"``, which repeats rows and columns, ``"bilinear"`` or
    ``"bicubic"``. Raises :class:`ArgumentError` for another one.
    """

    rank = 2

    def __init__(self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **options: Any) -> None:
        super().__init__(**options)
        self.size = an_axis(self, "size", size, 2)
        self.data_format = data_format_of(self, data_format)
        self.interpolation: Any = one_of(self, "interpolation", interpolation, _INTERPOLATIONS)

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """The images; see :func:`graphc.resize`."""
        if self.interpolation == "nearest":
            return super().call(inputs)
        wide = [size * times for size, times in zip(inputs.shape, self.everywhere(self.size, None), strict=True) if times is not None]
        return gc.resize(as_dtype(inputs, self.dtype), wide, self.interpolation, self.data_format)


class UpSampling3D(UpSampling):
    """Each item of three spatial axes ``size`` times along each: a number, or one for each axis."""

    rank = 3

    def __init__(self, size: Any = (2, 2, 2), data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.size = an_axis(self, "size", size, 3)
        self.data_format = data_format_of(self, data_format)


class ZeroPadding(OfSpace):
    """See :class:`ZeroPadding2D`."""

    def __init__(self, padding: Any = 1, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.padding = pairs(self, "padding", padding, self.rank)
        self.data_format = data_format_of(self, data_format)

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.pad`."""
        return gc.pad(inputs, tuple(self.everywhere(self.padding, (0, 0))))


class ZeroPadding1D(ZeroPadding):
    """``padding`` zeros before and after the steps: a number, or ``(before, after)``."""

    rank = 1


class ZeroPadding2D(ZeroPadding):
    """Zeros around images: ``padding`` is a number, one for each axis, or ``((top, bottom), (left, right))``.

    ``(batch, height, width, channels)`` gives ``(batch, top + height + bottom, left + width + right, channels)``. Raises
    :class:`ArgumentError` for numbers below 0.
    """

    rank = 2


class ZeroPadding3D(ZeroPadding):
    """Zeros around volumes: ``padding`` is a number, one for each axis, or a pair (before, after) for each."""

    rank = 3


class Cropping(OfSpace):
    """See :class:`Cropping2D`."""

    cropping: tuple[tuple[int, int], ...]

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """What is left. Raises :class:`ShapeError` if nothing is."""
        cuts = self.everywhere(self.cropping, (0, 0))
        for size, (before, after) in zip(inputs.shape, cuts, strict=True):
            if before + after and isinstance(size, int) and before + after >= size:
                raise ShapeError(f"{self.name}: {before} and {after} items less of {size}", fits=f"{size - 1} together at most")
        return inputs[tuple([slice(before or None, -after or None) for before, after in cuts])]


class Cropping1D(Cropping):
    """Without the first and the last steps: ``cropping`` is a number, or ``(before, after)``."""

    rank = 1

    def __init__(self, cropping: Any = (1, 1), **options: Any) -> None:
        super().__init__(**options)
        self.cropping = pairs(self, "cropping", cropping, 1)


class Cropping2D(Cropping):
    """Without the border of images: ``cropping`` is a number, one for each axis, or ``((top, bottom), (left, right))``.

    Raises :class:`ArgumentError` for numbers below 0, :class:`ShapeError` where nothing would be left.
    """

    rank = 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.cropping = pairs(self, "cropping", cropping, 2)
        self.data_format = data_format_of(self, data_format)


class Cropping3D(Cropping):
    """Without the border of volumes: ``cropping`` is a number, one for each axis, or a pair (before, after) for each."""

    rank = 3

    def __init__(self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.cropping = pairs(self, "cropping", cropping, 3)
        self.data_format = data_format_of(self, data_format)
