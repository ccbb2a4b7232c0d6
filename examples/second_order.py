"""Newton's method: a gradient is a graph, so the gradient of a gradient is one too, and a step of the method is one compiled function.

Logistic regression on two clouds of points, in float64. Near the solution each step squares the error, so that a handful of steps come
to the last digit, where gradient descent has only begun.
"""

import numpy as np

import graphc as gc

DECAY = 1e-3


def main() -> None:
    points, targets = gc.nn.datasets.point_clouds(1_000)
    features = np.column_stack([points, np.ones(len(points))]).astype("float64")  # the column of ones is for the bias
    labels = targets[:, 0].astype("float64")

    x = gc.input("x", ("batch", 3), dtype="float64")
    t = gc.input("t", ("batch",), dtype="float64")
    w = gc.variable(np.zeros(3), "w", dtype="float64")

    logits = x @ w
    loss = gc.mean(gc.softplus(logits) - t * logits) + DECAY / 2 * gc.sum(gc.square(w))
    gradient = gc.grad(loss, w)
    hessian = gc.hessian(loss, w)
    print(f"hessian = {gc.formula(hessian)}")

    length = gc.norm(gradient)
    newton = gc.compile([x, t], [loss, length], updates={w: w - gc.linalg.solve(hessian, gradient)})
    descent = gc.compile([x, t], [loss, length], updates={w: w - gradient})

    for name, step in (("Newton", newton), ("descent", descent)):
        w.assign(np.zeros(3))
        for number in range(12):
            value, slope = step(features, labels)
            print(f"{name:>7} {number:2d}: loss {value:.12f}, gradient {slope:.1e}")

    # A product with the Hessian costs about two gradients, and no matrix is made: what conjugate gradients ask for in large models.
    v = gc.input("v", (3,), dtype="float64")
    product = gc.compile([x, t, v], [gc.hvp(loss, w, v), hessian @ v])
    with_product, with_matrix = product(features, labels, np.array([1.0, 2.0, 3.0]))
    print(f"hvp equals hessian @ v: {np.allclose(with_product, with_matrix, rtol=1e-12)}")


if __name__ == "__main__":
    main()
