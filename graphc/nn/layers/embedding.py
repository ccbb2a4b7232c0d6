"""Vectors for whole numbers."""

from __future__ import annotations

from typing import Any

import graphc as gc
from graphc.core import dtypes
from graphc.feed.batches import whole_number
from graphc.nn.layer import Shape
from graphc.nn.layers.common import Weighted, listed


class Embedding(Weighted):
    """A vector for each whole number below ``input_dim``: ``(batch, steps)`` gives ``(batch, steps, output_dim)``.

    Args:
        input_dim: how many vectors there are.
        output_dim: how long they are.
        embeddings_initializer: how the weight ``embeddings``, ``(input_dim, output_dim)``, begins.
        embeddings_regularizer: a function of it whose value is added to the loss.
        embeddings_constraint: what brings it back to what is allowed after each step.
        mask_zero: whether 0 stands for a step that does not count; then the output has a mask.
        weights: a first value of ``embeddings``, alone or in a list.
        input_length: not needed, since the input has it.

    A number that has no vector raises an IndexError on NumPy, and gives NaN on JAX. Raises :class:`ArgumentError` for sizes below 1.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        *,
        input_length: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.input_dim = whole_number("Embedding: input_dim", input_dim, least=1)
        self.output_dim = whole_number("Embedding: output_dim", output_dim, least=1)
        self.declare("embeddings", embeddings_initializer, embeddings_regularizer, embeddings_constraint)
        self.mask_zero = self.supports_masking = bool(mask_zero)
        self.input_length = input_length
        if weights is not None:
            self.build((None,))
            self.built = True
            self.set_weights(listed(weights))

    def build(self, input_shape: Shape) -> None:
        """Add ``embeddings``."""
        self.embeddings = self.weight("embeddings", (self.input_dim, self.output_dim))

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """The vectors. Numbers with a fraction are brought to whole ones."""
        return gc.take(self.embeddings, inputs if dtypes.is_integer(inputs.dtype) else gc.cast(inputs, dtype="int32"), axis=0)

    def compute_mask(self, inputs: gc.Tensor, previous_mask: Any) -> gc.Tensor:
        """Where the number is not 0."""
        return gc.not_equal(inputs, 0)
