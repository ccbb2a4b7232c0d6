"""The book's linear classifier: two clouds of points in the plane, and the line that separates them.

Mean squared error, all points in each step, gradient descent at rate 0.1, 40 steps (F. Chollet, Deep Learning with Python, 2021,
chapter 3): the loss is about 0.026. Writes clouds.svg, the points as they are, and predictions.svg, as they are told apart by the line.
"""

from pathlib import Path

import numpy as np

import graphc as gc

COLOURS = np.array(["purple", "gold"])
STEPS, RATE = 40, 0.1


def plot(path: str, points: np.ndarray, classes: np.ndarray, line: np.ndarray | None = None) -> None:
    """Save points, each in the colour of its class, and perhaps a line between two points. SVG counts y downwards."""
    dots = [f'<circle cx="{x:.3f}" cy="{-y:.3f}" r="0.05" fill="{c}"/>' for (x, y), c in zip(points, COLOURS[classes], strict=True)]
    if line is not None:
        (x1, y1), (x2, y2) = line
        dots.append(f'<line x1="{x1:.3f}" y1="{-y1:.3f}" x2="{x2:.3f}" y2="{-y2:.3f}" stroke="red" stroke-width="0.05"/>')
    text = "\n".join(dots)
    Path(path).write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-4 -7 11 11" width="660">\n{text}\n</svg>\n')


def main() -> None:
    points, targets = gc.nn.datasets.point_clouds(1_000)
    plot("clouds.svg", points, targets[:, 0].astype(int))

    x, t = gc.input("x", ("batch", 2)), gc.input("t", ("batch", 1))
    w = gc.variable(gc.init.uniform((2, 1), 0, 1, seed=0), "w")
    b = gc.variable(gc.init.zeros((1,)), "b")
    prediction = x @ w + b
    loss = gc.mean(gc.square(prediction - t))
    dw, db = gc.grad(loss, [w, b])
    print(f"grad(loss, w) = {gc.formula(dw)}")

    step = gc.compile([x, t], loss, updates={w: w - RATE * dw, b: b - RATE * db})
    for number in range(STEPS):
        value = step(points, targets)
        if number % 10 == 9:
            print(f"step {number + 1}: loss {value:.4f}")

    classes = (gc.compile([x], prediction)(points)[:, 0] > 0.5).astype(int)
    print(f"accuracy {np.mean(classes == targets[:, 0]):.4f}")
    (w1,), (w2,) = w.value
    across = np.array([-1.0, 4.0])  # on the line w1 x + w2 y + b = 0.5
    plot("predictions.svg", points, classes, np.stack([across, (0.5 - b.value - w1 * across) / w2], axis=1))


if __name__ == "__main__":
    main()
