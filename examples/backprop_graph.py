"""The computation graph of a two-layer network, and the same graph reversed: figures of chapter 2 of Deep Learning with Python.

For every forward edge from A to B that carries gradient there is a reversed edge from B to A with grad(B, A). The gradient of the
loss for a weight is the product along the reversed path, summed over paths.
"""

import sys

import numpy as np

import graphc as gc


def network() -> tuple[gc.Tensor, list[gc.Variable]]:
    """loss(y, softmax(dot(relu(dot(x, W1) + b1), W2) + b2)), and its weights."""
    x = gc.input("x", ("batch", 784))
    y = gc.input("y", ("batch", 10))  # one-hot labels
    w1 = gc.variable(gc.init.glorot_uniform((784, 512), seed=1), name="W1")
    b1 = gc.variable(np.zeros(512, "float32"), name="b1")
    w2 = gc.variable(gc.init.glorot_uniform((512, 10), seed=2), name="W2")
    b2 = gc.variable(np.zeros(10, "float32"), name="b2")
    hidden = gc.relu(gc.dot(x, w1) + b1).named("h")
    p = gc.softmax(gc.dot(hidden, w2) + b2).named("p")
    # Cross-entropy spelt out, so that the picture has each step; gc.categorical_crossentropy(y, p) computes it from the logits.
    return gc.mean(-gc.sum(y * gc.log(p), axis=-1)).named("loss"), [w1, b1, w2, b2]


if __name__ == "__main__":
    loss, weights = network()
    path = sys.argv[1] if len(sys.argv) > 1 else "backprop_graph.svg"
    gc.draw(loss, wrt=weights).save(path)
    for weight, gradient in zip(weights, gc.grad(loss, weights), strict=True):
        print(f"grad(loss, {weight.label}) = {gc.formula(gradient)}")
    print(f"drawn: {path}")
