"""Where random numbers come from: one seed for a program, and from it one for each layer, initialiser and order of samples."""

from __future__ import annotations

import random
from typing import Final

import numpy as np

from graphc.core import Tensor, Variable, constant, variable
from graphc.feed.batches import whole_number
from graphc.nn.forward import current

WORD: Final = 1 << 32


def set_random_seed(seed: int) -> None:
    """Make a program's random numbers those of this seed: Python's, NumPy's, and those of all that gets no seed of its own from here on.

    Raises :class:`ArgumentError` for what is no whole number from 0.
    """
    seed = whole_number("set_random_seed: seed", seed, least=0)
    random.seed(seed)
    np.random.seed(seed % WORD)  # noqa: NPY002  (the user's own code may draw from it)


def make_seed() -> int:
    """A seed for who was given none: the next one of Python's ``random``, which initializers take theirs from too, as in Keras."""
    return random.randint(1, 10**9)


class SeedGenerator:
    """A key for each draw in a compiled step: a variable that counts. An attribute of a layer, which draws in its ``call``.

    >>> self.seed_generator = SeedGenerator(seed)  # in __init__
    >>> kept = gc.random.bernoulli(self.seed_generator.next(), 1 - self.rate, x.shape)  # in call

    ``state`` is two words, the seed and how many keys were taken, as in Keras.
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        self.seed = make_seed() if seed is None else whole_number("SeedGenerator: seed", seed, least=0)
        self.name = name or "seed_generator"
        self.state: Variable = variable(np.array([self.seed % WORD, 0], np.uint32), f"{self.name}/state")

    def next(self) -> Tensor:
        """The next key, for ``gc.random``: another one at each call of this method and in each step.

        Outside of a pass through layers it is a value, and the state moves on at once.
        """
        forward = current()
        if forward is None:
            value = self.state.value
            self.state.assign(value + np.array([0, 1], np.uint32))
            return constant(value)
        key = forward.latest(self.state)
        forward.update(self.state, key + constant(np.array([0, 1], np.uint32)))
        return key
