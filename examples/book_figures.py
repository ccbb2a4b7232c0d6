"""The figures of Deep Learning with Python, chapter 2: a computation graph with its values, the same graph reversed, and a path in it.

The network is small enough for its numbers to be written on the edges. On every reversed edge is the derivative of one value with
respect to another, and the gradient of the loss that the edge brings; the gradient for W1 is the product along the path that is marked.
"""

import sys
from pathlib import Path

import graphc as gc
from graphc.show import Picture


def figures() -> dict[str, Picture]:
    """The three pictures by name: loss(y, softmax(dot(relu(dot(x, W1) + b1), W2) + b2))."""
    x, y = gc.input("x", (1, 2)), gc.input("y", (1, 2))
    weights = {"W1": [[1.0, -1.0], [0.5, 2.0]], "b1": [0.0, -4.0], "W2": [[1.0, 0.0], [-0.5, 0.5]], "b2": [0.0, 1.0]}
    w1, b1, w2, b2 = (gc.variable(value, name=name) for name, value in weights.items())
    h = gc.relu(gc.dot(x, w1) + b1).named("h")
    p = gc.softmax(gc.dot(h, w2) + b2).named("p")
    loss = gc.mean(-gc.sum(y * gc.log(p), axis=-1)).named("loss")
    values = {x: [[1.0, 2.0]], y: [[0.0, 1.0]]}
    return {
        "book_forward": gc.draw(loss, values=values, title="A network and its loss, with the values of one sample"),
        "book_reversed": gc.draw(loss, [w1, b1, w2, b2], values=values, title="The same graph reversed, with the gradients of the loss"),
        "book_path": gc.draw(loss, [w1, b1, w2, b2], path=(w1, loss), title="The path from the loss to W1"),
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    for name, picture in figures().items():
        print(f"drawn: {picture.save(folder / f'{name}.svg')}")
