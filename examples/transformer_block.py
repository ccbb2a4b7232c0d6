"""A transformer block answers questions on sequences: is the first token among those that follow?

The first of 12 tokens asks for one of 10 letters, the others are letters; half of the sequences have the letter (A. Vaswani et al.,
2017, for the block; normalised before attention, after R. Xiong et al., 2020).
"""

import argparse

import numpy as np

import graphc as gc
from graphc import nn
from graphc.nn import layers

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--backend", choices=("numpy", "jax"), default="numpy")
parser.add_argument("--epochs", type=int, default=3)
LETTERS, LENGTH, WIDTH, HEADS = 10, 12, 32, 4


def questions(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens ``(count, LENGTH)``, of which the first is a letter asked for, plus ``LETTERS``; and whether it is there."""
    rng = np.random.default_rng(seed)
    asked, answers = rng.integers(0, LETTERS, count), rng.integers(0, 2, count)
    others = (asked[:, None] + rng.integers(1, LETTERS, (count, LENGTH - 1))) % LETTERS  # none is the one asked for
    yes = np.flatnonzero(answers)
    others[yes, rng.integers(0, LENGTH - 1, len(yes))] = asked[yes]
    return np.column_stack([asked + LETTERS, others]).astype("int32"), answers.astype("int32")


def block(x: gc.Tensor) -> gc.Tensor:
    """What each token says after it has looked at all, and after it has thought about that: ``(batch, length, WIDTH)`` again."""
    y = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(num_heads=HEADS, key_dim=WIDTH // HEADS)(y, y)
    y = layers.Dense(4 * WIDTH, activation="gelu")(layers.LayerNormalization()(x))
    return x + layers.Dense(WIDTH)(y)


def main() -> None:
    options = parser.parse_args()
    nn.set_random_seed(0)
    tokens = nn.Input((LENGTH,), dtype="int32")
    x = block(layers.Embedding(2 * LETTERS, WIDTH, embeddings_initializer="glorot_uniform")(tokens))
    answer = layers.Dense(1, activation="sigmoid")(layers.LayerNormalization()(x[:, 0]))
    model = nn.Model(tokens, answer)
    model.summary()
    model.compile(nn.optimizers.Adam(3e-3), "binary_crossentropy", metrics=["accuracy"], backend=options.backend)
    model.fit(*questions(8_192, seed=1), epochs=options.epochs, batch_size=64, verbose=2)
    loss, accuracy = model.evaluate(*questions(2_048, seed=2), verbose=0)
    print(f"test: loss {loss:.4f}, accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
