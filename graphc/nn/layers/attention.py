"""Attention: means of values, weighted by how well their keys fit queries."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any, Final

import graphc as gc
from graphc.core import Tensor, Variable, as_tensor
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.op import as_dtype
from graphc.feed.batches import whole_number
from graphc.nn import initializers, regularizers
from graphc.nn.forward import the_pass
from graphc.nn.layer import Layer
from graphc.nn.layers.activation import Softmax
from graphc.nn.layers.common import Weighted, listed, one_of, share, size_of, title
from graphc.nn.layers.dense import EinsumDense
from graphc.nn.layers.regularization import Dropout
from graphc.nn.seeds import SeedGenerator

_LETTERS: Final = string.ascii_lowercase
_AWAY: Final = {"float16": 65504.0}
"""What the scores of places that do not count are lowered by; 1e9 for other dtypes."""


# ---------------------------------------------------------------- one head
class Attention(Layer):
    """``softmax(query @ key.T) @ value`` (M.-T. Luong et al., 2015), of a list ``[query, value]`` or ``[query, value, key]``.

    ``query`` is ``(batch, queries, dim)``, ``value`` ``(batch, values, width)``, ``key`` ``(batch, values, dim)``, by default the value.
    The output is ``(batch, queries, width)``.

    Args:
        use_scale: whether the scores are multiplied by a weight, ``scale``, which begins with 1.
        score_mode: ``"dot"``, or ``"concat"``: a weight times the sum of ``tanh(scale * (query + key))`` along the last axis.
        dropout: the share of the weighting that is 0 in training.
        seed: of the dropout.

    A call takes ``mask``, a list with a mask ``(batch, queries)``, where the output is 0 outside, and one ``(batch, values)``, which says
    which values count; ``use_causal_mask``, so that no query sees values behind its place; and ``return_attention_scores``, for a tuple of
    the output and the weighting, ``(batch, queries, values)``. Where no value counts all do.

    Raises :class:`ArgumentError` for another mode and another number of inputs.
    """

    supports_masking = True
    scale: Variable | None = None

    def __init__(
        self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed: int | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.use_scale = bool(use_scale)
        self.score_mode = one_of(self, "score_mode", score_mode, ("dot", "concat"))
        self.dropout, self.seed = share(self, "dropout", dropout), seed
        self.seed_generator = SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        """Add the weights."""
        self._checked(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def _checked(self, inputs: Any) -> list[Any]:
        given = listed(inputs)
        if len(given) not in (2, 3):
            raise ArgumentError(f"{title(self)}: {len(given)} inputs", fits="[query, value] or [query, value, key]")
        return given

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        """How well each key fits each query, ``(batch, queries, values)``."""
        if self.score_mode == "dot":
            found = gc.matmul(query, gc.swapaxes(key, -2, -1))
            return found if self.scale is None else found * self.scale
        both = gc.expand_dims(query, axis=-2) + gc.expand_dims(key, axis=-3)
        return self.concat_score_weight * gc.sum(gc.tanh(both if self.scale is None else self.scale * both), axis=-1)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """The output, and the weighting if it is asked for."""
        query, value, *rest = [as_dtype(x, self.dtype) for x in self._checked(inputs)]
        of_query, of_value, *_ = (
            [None, None] if mask is None else [None if one is None else as_dtype(as_tensor(one), "bool") for one in mask]
        )
        scores = self.scores(query, rest[0] if rest else value)
        counts = None if of_value is None else gc.expand_dims(of_value, axis=-2)
        if use_causal_mask:
            counts = _both(counts, causal_mask(scores.shape[-2], scores.shape[-1]))
        if counts is not None:
            scores = gc.where(counts, scores, scores - _AWAY.get(scores.dtype, 1e9))
        weighting = gc.softmax(scores, axis=-1)
        if training and self.dropout:
            weighting = gc.dropout(weighting, self.dropout, self.seed_generator.next())
        y = gc.matmul(weighting, value)
        if of_query is not None:
            y = gc.where(gc.expand_dims(of_query, axis=-1), y, 0)
        return (y, weighting) if return_attention_scores else y

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """That of the query."""
        return None if previous_mask is None else [previous_mask[0]]


class AdditiveAttention(Attention):
    """:class:`Attention` whose scores are sums of ``scale * tanh(query + key)`` along the last axis (D. Bahdanau et al., 2015).

    ``scale``, a weight ``(dim,)``, is there with ``use_scale``.
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(use_scale, dropout=dropout, **options)

    def build(self, input_shape: Any) -> None:
        """Add the scale."""
        query = self._checked(input_shape)[0]
        if self.use_scale:
            self.scale = self.add_weight((size_of(self, query, -1),), "glorot_uniform", name="scale")

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        """How well each key fits each query, ``(batch, queries, values)``."""
        fits = gc.tanh(gc.expand_dims(query, axis=-2) + gc.expand_dims(key, axis=-3))
        return gc.sum(fits if self.scale is None else self.scale * fits, axis=-1)


def causal_mask(queries: Any, keys: Any) -> Tensor:
    """True where a key is not behind the query: ``(queries, keys)``."""
    return gc.expand_dims(gc.arange(queries), axis=1) >= gc.arange(keys)


def window_mask(queries: Any, keys: Any, width: int) -> Tensor:
    """True where a key is less than ``width`` places away from the query: ``(queries, keys)``."""
    return gc.abs(gc.expand_dims(gc.arange(queries), axis=1) - gc.arange(keys)) < width


def _both(one: Tensor | None, other: Tensor) -> Tensor:
    return other if one is None else gc.logical_and(one, other)


# ---------------------------------------------------------------- several heads
class HeadsAttention(Weighted):
    """What :class:`MultiHeadAttention` and :class:`GroupedQueryAttention` have in common: projections, masks, the weighting.

    A call is ``layer(query, value, key=None)``: ``(batch, queries, dim)``, ``(batch, values, dim)``; the key is the value by default.

    ``attention_mask``, which broadcasts to ``(batch, queries, values)`` or with an axis of heads after the batch, says which values count
    for which query. So do the masks that come with ``query``, ``value`` and ``key``, or are given as ``query_mask``, ``value_mask``,
    ``key_mask``, ``(batch, places)``, and ``use_causal_mask``, by which no query sees values behind its place. Where no value counts the
    weighting is 0. With ``return_attention_scores`` a call gives a tuple: the output, and the weighting, which is
    ``(batch, heads, queries, values)``.
    """

    supports_masking = True
    kernel_initializer: Any
    kernel_regularizer: Any
    kernel_constraint: Any
    bias_initializer: Any
    bias_regularizer: Any
    bias_constraint: Any

    def __init__(
        self,
        dropout: float,
        use_bias: bool,
        sliding_window: int | None,
        flash_attention: bool | None,
        kernel: tuple[Any, Any, Any],
        bias: tuple[Any, Any, Any],
        activity_regularizer: Any,
        use_gate: bool,
        seed: int | None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.dropout, self.use_bias, self.use_gate = share(self, "dropout", dropout), bool(use_bias), bool(use_gate)
        self.sliding_window = None if sliding_window is None else whole_number(f"{title(self)}: sliding_window", sliding_window, least=1)
        self.flash_attention, self.seed = flash_attention, seed
        self.declare("kernel", *kernel)
        self.declare("bias", *bias)
        self._of_projections = regularizers.get(activity_regularizer)
        self.axes: tuple[int, ...] = (1,)

    # ------------------------------------------------------------ what build uses
    def build_heads(self, shapes: Sequence[Any], heads: tuple[int, int], sizes: tuple[int, int], output: Sequence[int]) -> None:
        """Add the projections of query, key and value, whose shapes these are, and of the output, and the weighting along ``axes``.

        ``heads`` are those of the queries, and those of keys and values; ``sizes`` how long queries and keys, and values, are in a head.
        """
        query, key, value = shapes
        if value[1:-1] != key[1:-1]:
            raise ShapeError(f"{self.name}: a value of shape {value}, a key of shape {key}", fits="the same places in both")
        self.axes = tuple([axis if axis >= 0 else len(query) + axis for axis in self.axes])
        self.query_dense = self._projection("query", 1, (heads[0], sizes[0]), query)
        self.key_dense = self._projection("key", 1, (heads[1], sizes[0]), key)
        if self.use_gate:
            self.gate_dense = self._projection("gate", 1, (heads[0], sizes[1]), query, "sigmoid")
        self.value_dense = self._projection("value", 1, (heads[1], sizes[1]), value)
        self.output_dense = self._projection("attention_output", 2, output, (*query[:-1], heads[0], sizes[1]))
        self.scale = 1 / sizes[0] ** 0.5
        self._weigh, self._mix = _equations(len(query) + 1, self.axes)
        axes = tuple(range(-len(self.axes), 0))
        self.softmax = Softmax(axes if len(axes) > 1 else -1, dtype=self.dtype, name=f"{self.name}/softmax")
        self.dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype, name=f"{self.name}/dropout")

    def _projection(self, name: str, taken: int, given: Sequence[int], input_shape: Any, activation: Any = None) -> EinsumDense:
        """A layer from the last ``taken`` axes of what has this shape to axes of the sizes ``given``."""
        letters = iter(_LETTERS)
        free = len(input_shape) - taken
        if free + taken + len(given) > len(_LETTERS):
            asked = f"{self.name}: {name} is of {len(input_shape)} axes, and made of {len(given)}"
            raise ShapeError(asked, fits=f"at most {len(_LETTERS)} in all")
        kept, read, made = ["".join([next(letters) for _ in range(count)]) for count in (free, taken, len(given))]
        layer = EinsumDense(
            f"{kept}{read},{read}{made}->{kept}{made}",
            (*(None,) * (free - 1), *given),
            activation,
            made if self.use_bias else None,
            _another(self.kernel_initializer),
            _another(self.bias_initializer),
            self.kernel_regularizer,
            self.bias_regularizer,
            self.kernel_constraint,
            self.bias_constraint,
            activity_regularizer=self._of_projections,
            dtype=self.dtype,
            name=f"{self.name}/{name}",
        )
        layer.build(input_shape)
        layer.built = True
        return layer

    # ------------------------------------------------------------ calls
    def call(
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """The output, and the weighting if it is asked for."""
        of_query, of_key, of_value = self.query_dense(query), self.key_dense(value if key is None else key), self.value_dense(value)
        scores = gc.einsum(self._weigh, of_query * self.scale, self.repeated(of_key))
        places = [_mask_of(query, query_mask), _mask_of(value, value_mask), _mask_of(key, key_mask)]
        weighting = self.softmax(scores, mask=self._counts(scores, attention_mask, places, use_causal_mask))
        # The mask is one of scores: the weighting is whole.
        the_pass("attention").masks.pop(weighting, None)
        y = gc.einsum(self._mix, self.dropout_layer(weighting, training=training), self.repeated(of_value))
        y = self.output_dense(y * self.gate_dense(query) if self.use_gate else y)
        return (y, weighting) if return_attention_scores else y

    def repeated(self, x: Tensor) -> Tensor:
        """Keys or values with as many heads as queries have."""
        return x

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """That of the query."""
        return [previous_mask]

    def _counts(self, scores: Tensor, given: Any, places: Sequence[Tensor | None], causal: bool) -> Tensor | None:
        """Which values count for which query, as a mask that broadcasts with the scores; None for all."""
        found = None if given is None else self._spread(scores, as_dtype(as_tensor(given), "bool"))
        known = [gc.expand_dims(mask, axis=-2 if i else -1) for i, mask in enumerate(places) if mask is not None]
        if causal:
            known.append(causal_mask(scores.shape[-2], scores.shape[-1]))
        if self.sliding_window is not None:
            known.append(window_mask(scores.shape[-2], scores.shape[-1], self.sliding_window))
        if known and self.axes != (1,):
            fits = "attention_mask alone, or attention along axis 1"
            raise ArgumentError(f"{self.name}: masks of places for attention along axes {self.axes}", fits=fits)
        for mask in known:
            found = _both(found, self._spread(scores, mask))
        return found

    def _spread(self, scores: Tensor, mask: Tensor) -> Tensor:
        """A mask with axes of size 1 before those of queries and values, as many as the scores have more."""
        places = 2 * len(self.axes)
        if not places <= mask.ndim <= scores.ndim:
            fits = f"{places} axes, those of queries and values, or up to {scores.ndim} with those of the scores before them"
            raise ShapeError(f"{self.name}: a mask of shape {mask.shape} for scores of shape {scores.shape}", fits=fits)
        start = mask.ndim - places
        return gc.reshape(mask, (*mask.shape[:start], *(1,) * (scores.ndim - mask.ndim), *mask.shape[start:]))


class MultiHeadAttention(HeadsAttention):
    """Attention in several heads, each with its own projection of query, key and value (A. Vaswani et al., 2017).

    The output is ``(batch, queries, dim)``. See :class:`HeadsAttention` for what a call takes.

    Args:
        num_heads: how many heads there are.
        key_dim: how long queries and keys are in a head; scores are divided by the root of it.
        value_dim: how long values are in a head; ``key_dim`` by default.
        dropout: the share of the weighting that is 0 in training.
        use_bias: whether the projections have a bias.
        output_shape: the sizes that the output has instead of ``dim``.
        attention_axes: the axes of places, 1 by default: all between the first and the last; the others are samples too.
        sliding_window: if it is given, a query sees values that are less than this many places away.
        flash_attention: has no meaning here.
        use_gate: whether what the heads give is multiplied by a gate, ``sigmoid`` of a projection of the query.
        seed: of the dropout.

    The weights are ``query``, ``key`` and ``value`` kernels ``(dim, heads, key_dim)`` and biases ``(heads, key_dim)``, those of the output
    ``(heads, value_dim, dim)`` and ``(dim,)``. The other arguments say how they begin, what they add to the loss, and what they are kept
    to.

    Raises :class:`ArgumentError` for sizes below 1, :class:`ShapeError` for masks and keys that do not fit.
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        kernel = (kernel_initializer, kernel_regularizer, kernel_constraint)
        bias = (bias_initializer, bias_regularizer, bias_constraint)
        super().__init__(dropout, use_bias, sliding_window, flash_attention, kernel, bias, activity_regularizer, use_gate, seed, **options)
        self.num_heads = whole_number("MultiHeadAttention: num_heads", num_heads, least=1)
        self.key_dim = whole_number("MultiHeadAttention: key_dim", key_dim, least=1)
        self.value_dim = whole_number("MultiHeadAttention: value_dim", value_dim or key_dim, least=1)
        self._sizes_of_output = None if output_shape is None else listed(output_shape)
        self.attention_axes = None if attention_axes is None else tuple(listed(attention_axes))

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Add the projections."""
        self.axes = tuple(range(1, len(query_shape) - 1)) if self.attention_axes is None else self.attention_axes
        output = self._sizes_of_output or [size_of(self, query_shape, -1)]
        shapes = (query_shape, key_shape or value_shape, value_shape)
        self.build_heads(shapes, (self.num_heads, self.num_heads), (self.key_dim, self.value_dim), output)


class GroupedQueryAttention(HeadsAttention):
    """Attention whose heads share keys and values in groups (J. Ainslie et al., 2023), or all of them, with ``num_key_value_heads`` 1.

    Args:
        head_dim: how long queries, keys and values are in a head; scores are divided by the root of it.
        num_query_heads: how many heads there are, a multiple of the next.
        num_key_value_heads: how many projections of keys and values.

    The other arguments are those of :class:`MultiHeadAttention`. Raises :class:`ArgumentError` for sizes below 1, and if the heads cannot
    be divided evenly.
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        kernel = (kernel_initializer, kernel_regularizer, kernel_constraint)
        bias = (bias_initializer, bias_regularizer, bias_constraint)
        super().__init__(dropout, use_bias, sliding_window, flash_attention, kernel, bias, activity_regularizer, use_gate, seed, **options)
        self.head_dim = whole_number("GroupedQueryAttention: head_dim", head_dim, least=1)
        self.num_query_heads = whole_number("GroupedQueryAttention: num_query_heads", num_query_heads, least=1)
        self.num_key_value_heads = whole_number("GroupedQueryAttention: num_key_value_heads", num_key_value_heads, least=1)
        if num_query_heads % num_key_value_heads:
            raise ArgumentError(
                f"GroupedQueryAttention: {num_query_heads} heads with {num_key_value_heads} keys and values",
                fits="num_query_heads that num_key_value_heads divides",
            )

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Add the projections. Raises :class:`ShapeError` unless there are three axes."""
        if len(query_shape) != 3:
            raise ShapeError(f"{self.name}: a query of shape {query_shape}", fits="(batch, queries, dim)")
        heads, sizes = (self.num_query_heads, self.num_key_value_heads), (self.head_dim, self.head_dim)
        self.build_heads((query_shape, key_shape or value_shape, value_shape), heads, sizes, [size_of(self, query_shape, -1)])

    def repeated(self, x: Tensor) -> Tensor:
        """Each head as often as queries share it."""
        return gc.repeat(x, self.num_query_heads // self.num_key_value_heads, axis=2)


def _equations(rank: int, axes: Sequence[int]) -> tuple[str, str]:
    """The products of queries and keys, and of the weighting and values, for projected tensors: a batch, places, heads, features.

    Places that are not in ``axes`` are samples. The weighting has the samples and heads, then the queries, then the values.
    """
    query = list(_LETTERS[:rank])
    value = [_LETTERS[rank + i] if i in axes else letter for i, letter in enumerate(query)]
    samples = [letter for i, letter in enumerate(query[:-1]) if i not in axes]
    weighting = "".join([*samples, *[query[i] for i in axes], *[value[i] for i in axes]])
    one, other = "".join(query), "".join(value)
    return f"{one},{other}->{weighting}", f"{weighting},{other}->{one}"


def _mask_of(x: Tensor | None, given: Any) -> Tensor | None:
    """The mask that is given for a tensor, else the one that comes with it."""
    if given is None and x is not None:
        given = the_pass("attention").masks.get(x)
    return None if given is None else as_dtype(as_tensor(given), "bool")


def _another(initializer: Any) -> Any:
    """An initializer that draws other numbers, unless a seed says which."""
    return type(initializer).from_config(initializer.get_config()) if isinstance(initializer, initializers.Initializer) else initializer
