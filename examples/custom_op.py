"""Two ways to an op of one's own: by its formula, and by its gradient. Both work with all else: both backends, pictures, layers.

An op with a NumPy or JAX function behind it is a declaration of a few lines too: docs/adding.md.
"""

import numpy as np
import sympy

import graphc as gc

# By its formula: SymPy differentiates it, to any order. An activation for what is periodic (Ziyin, Hartwig and Ueda, 2020).
s = sympy.Symbol("s")
snake = gc.pointwise("snake", s + sympy.sin(s) ** 2)


# By its gradient: that of rounding is 0 almost everywhere, and nothing would learn behind it. Here it is passed on as it is, so that
# weights that are multiples of a quarter can be trained (the straight-through estimator; Bengio, Léonard and Courville, 2013).
@gc.custom_gradient
def quarters(x: gc.Tensor) -> tuple[gc.Tensor, object]:
    return gc.round(4 * x) / 4, lambda g: g


def main() -> None:
    z = gc.input("z", (5,))
    slope = gc.grad(gc.sum(snake(z)), z)
    print(f"snake'(z) = {gc.formula(slope)}")
    print(f"snake at 1: {gc.evaluate(snake(gc.constant(np.float32(1)))):.6f}")
    print(gc.check_gradient(gc.sum(snake(z)), z, order=2))

    truth = np.array([0.5, -1.25, 2.0, 0.75], "float32")
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((256, 4), "float32")

    x, t = gc.input("x", ("batch", 4)), gc.input("t", ("batch",))
    w = gc.variable(gc.init.zeros((4,)), "w")
    loss = gc.mean(gc.square(snake(x @ quarters(w)) - t))
    step = gc.compile([x, t], loss, updates={w: w - 0.05 * gc.grad(loss, w)})
    observed = rows @ truth
    observed += np.sin(observed) ** 2
    for _ in range(200):
        error = step(rows, observed)
    print(f"loss {error:.6f}, weights {gc.evaluate(quarters(w))}")


if __name__ == "__main__":
    main()
