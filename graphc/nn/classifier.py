"""The book's network, written as a user of graphc would write it."""

from __future__ import annotations

from dataclasses import dataclass

import graphc as gc


@dataclass(frozen=True)
class Classifier:
    """A network as graphs: its inputs, its variables, and what can be computed from them.

    ``image`` is ``f32[batch, pixels]`` and ``label`` ``i32[batch]``; ``probabilities`` is ``f32[batch, classes]``; ``loss``, the mean
    cross-entropy in nats, and ``accuracy``, the share of right answers, are numbers for the whole batch.
    """

    image: gc.Input
    label: gc.Input
    probabilities: gc.Tensor
    loss: gc.Tensor
    accuracy: gc.Tensor
    variables: tuple[gc.Variable, ...]


def dense_classifier(pixels: int = 784, units: int = 512, classes: int = 10, *, seeds: tuple[int, int] = (0, 1)) -> Classifier:
    """``softmax(relu(image @ w1 + b1) @ w2 + b2)`` with its loss: kernels Glorot uniform, each from its own seed, biases 0.

    F. Chollet, Deep Learning with Python (2nd ed., 2021), chapter 2: 784 pixels, 512 units, 10 classes.
    """
    image, label = gc.input("image", ("batch", pixels)), gc.input("label", ("batch",), dtype="int32")
    w1 = gc.variable(gc.init.glorot_uniform((pixels, units), seed=seeds[0]), "w1")
    b1 = gc.variable(gc.init.zeros((units,)), "b1")
    w2 = gc.variable(gc.init.glorot_uniform((units, classes), seed=seeds[1]), "w2")
    b2 = gc.variable(gc.init.zeros((classes,)), "b2")

    hidden = gc.relu(image @ w1 + b1)
    probabilities = gc.softmax(hidden @ w2 + b2)
    loss = gc.mean(gc.sparse_categorical_crossentropy(label, probabilities))  # from the logits: gc sees the softmax
    right = gc.equal(gc.argmax(probabilities, axis=-1), label)
    return Classifier(image, label, probabilities, loss, gc.mean(gc.cast(right, "float32")), (w1, b1, w2, b2))
