"""An LSTM adds two numbers that lie far apart in a sequence: the adding problem (Hochreiter and Schmidhuber, 1997).

Each item of a sequence is a number in [0, 1) and a mark, 1 at two places and 0 elsewhere; the target is the sum of the two numbers
marked. Who always says 1 has a mean squared error of 1/6.
"""

import argparse

import numpy as np

from graphc import nn
from graphc.nn import layers

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--backend", choices=("numpy", "jax"), default="numpy")
parser.add_argument("--epochs", type=int, default=10)
LENGTH = 20


def sequences(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Items ``(count, LENGTH, 2)``, one mark in each half of a sequence, and sums ``(count, 1)``."""
    rng = np.random.default_rng(seed)
    numbers, marks = rng.random((count, LENGTH)), np.zeros((count, LENGTH))
    for half in (0, LENGTH // 2):
        marks[np.arange(count), half + rng.integers(0, LENGTH // 2, count)] = 1
    return np.stack([numbers, marks], axis=2).astype("float32"), np.sum(numbers * marks, axis=1, keepdims=True).astype("float32")


def main() -> None:
    options = parser.parse_args()
    nn.set_random_seed(0)
    model = nn.Sequential([nn.Input((LENGTH, 2)), layers.LSTM(32), layers.Dense(1)])
    model.summary()
    model.compile(nn.optimizers.Adam(1e-2, clipnorm=1.0), "mse", backend=options.backend)
    model.fit(*sequences(4_096, seed=1), epochs=options.epochs, batch_size=64, verbose=2)

    items, sums = sequences(1_024, seed=2)
    print(f"mean squared error {model.evaluate(items, sums, verbose=0):.5f}; of the mean {np.var(sums):.5f}")
    for found, right in zip(model.predict(items[:3], verbose=0)[:, 0], sums[:3, 0], strict=True):
        print(f"{found:.3f} for {right:.3f}")


if __name__ == "__main__":
    main()
