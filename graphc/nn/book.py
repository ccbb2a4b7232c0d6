"""The network of the book: F. Chollet, Deep Learning with Python (2nd ed., 2021), chapter 2."""

from __future__ import annotations

import graphc as gc
from graphc.nn.functional import Input
from graphc.nn.layers import Dense
from graphc.nn.model import Model, Sequential


def network(pixels: int = 784, units: int = 512, classes: int = 10) -> Sequential:
    """Probabilities ``(batch, classes)`` of images ``(batch, pixels)``: a dense layer with relu, and one with softmax."""
    hidden, output = Dense(units, activation="relu", name="hidden"), Dense(classes, activation="softmax", name="output")
    return Sequential([Input((pixels,), name="image"), hidden, output])


def loss_of(model: Model) -> tuple[gc.Input, gc.Input, gc.Tensor]:
    """An input for images, one for their labels, ``i32[batch]``, and the mean cross-entropy in nats of what the model gives for them."""
    image, label = gc.input("image", ("batch", *model.input_shape[1:])), gc.input("label", ("batch",), dtype="int32")
    return image, label, gc.mean(gc.sparse_categorical_crossentropy(label, model(image)))
