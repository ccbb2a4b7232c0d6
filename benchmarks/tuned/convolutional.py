"""Convolutions as products of windows, of which only those are cut that pooling reads, one corner of the pools after another.

A pool of 2 x 2 has four corners. If the places of each corner lie together, a maximum over pools is one over four arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.tuned.parts import Array, Classifier, Team, blocks, empty, f32, parts
from benchmarks.workload import Task
from benchmarks.workloads.convolutional import pooling

AT_ONCE = 16  # images
CORNERS = [(a, c) for a in range(2) for c in range(2)]


class Images:
    """One thread's memory for so many images, and one step through it. All views are made here."""

    def __init__(self, n: int, size: int, middle: int, width: int, one: int, two: int, classes: int) -> None:
        self.n, self.size, self.middle, self.width = n, size, middle, width
        area = size * size
        # Windows of the first convolution: a row for each place of the kernel, and one of ones for the bias.
        self.cut1 = np.ones((area + 1, 4, n, middle, middle), "float32")
        self.flat1 = self.cut1.reshape(area + 1, -1)
        self.z1, self.h1 = empty(4, n, middle, middle, one), empty(n, middle, middle, one)
        self.d1 = empty(n, middle, middle, one)
        # Of the second one: a window's row is one piece of size * one floats in memory.
        row, column = self.h1.strides[1:3]
        steps = row, column, self.h1.strides[0], 2 * row, 2 * column, row, self.h1.itemsize
        shape = 2, 2, n, width, width, size, size * one
        self.windows = np.lib.stride_tricks.as_strided(self.h1, shape, steps)
        self.cut2, self.dcut2 = empty(*shape), empty(*shape)
        self.spread = [
            (self.d1[:, a + i : a + i + 2 * width - 1 : 2, c + j : c + j + 2 * width - 1 : 2], self._places(a, c, i, j, one))
            for a, c in CORNERS
            for i in range(size)
            for j in range(size)
        ]
        self.z2, self.top, self.h2 = empty(4, n * width * width, two), empty(n * width * width, two), empty(n * width * width, two)
        self.d2 = empty(n, width * width * two)
        self.z, self.classify = empty(n, classes), Classifier(n, classes)
        self.zeros1, self.zeros2 = np.zeros_like(self.h1), np.zeros_like(self.h2)
        self.mask1, self.mask2 = np.empty(self.h1.shape, bool), np.empty(self.h2.shape, bool)
        self.pair1, self.pair2 = np.empty_like(self.h1), np.empty_like(self.h2)
        self.ones, self.places = np.ones(n, "float32"), np.ones(n * width * width, "float32")

    def _places(self, a: int, c: int, i: int, j: int, one: int) -> Array:
        return self.dcut2[a, c, :, :, :, i, j * one : (j + 1) * one]

    def __call__(self, p: tuple[Array, ...], x: Array, t: Array, scale: np.float32, gradients: list[Array]) -> float:
        k1, k2, b2, w, b = p
        self.first(k1, x)
        self.second(k2, b2)
        flat = self.h2.reshape(self.n, -1)
        np.dot(flat, w, self.z)
        np.add(self.z, b, self.z)
        loss = self.classify(self.z, t, scale)
        gradients[3] += np.dot(flat.T, self.z)
        gradients[4] += np.dot(self.ones, self.z)
        np.dot(self.z, w.T, self.d2)
        self.second_back(k2, gradients)
        self.first_back(gradients)
        return loss

    def first(self, k1: Array, x: Array) -> None:
        reach = 2 * self.middle - 1
        for corner, (a, c) in enumerate(CORNERS):
            for place in range(self.size**2):
                i, j = divmod(place, self.size)
                self.cut1[place, corner] = x[:, a + i : a + i + reach : 2, c + j : c + j + reach : 2]
        np.dot(self.flat1.T, k1, self.z1.reshape(-1, k1.shape[1]))
        self._pooled(self.z1, self.h1, self.pair1)
        np.maximum(self.h1, self.zeros1, out=self.h1)

    def second(self, k2: Array, b2: Array) -> None:
        np.copyto(self.cut2, self.windows)
        np.dot(self.cut2.reshape(-1, k2.shape[0]), k2, self.z2.reshape(-1, k2.shape[1]))
        self._pooled(self.z2, self.top, self.pair2)
        np.add(self.top, b2, self.h2)
        np.maximum(self.h2, self.zeros2, out=self.h2)

    @staticmethod
    def _pooled(z: Array, out: Array, pair: Array) -> None:
        np.maximum(z[0], z[1], out=out)
        np.maximum(z[2], z[3], out=pair)
        np.maximum(out, pair, out=out)

    def second_back(self, k2: Array, gradients: list[Array]) -> None:
        d = self.d2.reshape(self.h2.shape)
        np.greater(self.h2, self.zeros2, self.mask2)
        np.multiply(d, self.mask2, d)
        gradients[2] += np.dot(self.places, d)
        self._unpooled(d, self.z2, self.top, self.mask2)
        z = self.z2.reshape(-1, k2.shape[1])
        gradients[1] += np.dot(self.cut2.reshape(-1, k2.shape[0]).T, z)
        np.dot(z, k2.T, self.dcut2.reshape(-1, k2.shape[0]))

    def first_back(self, gradients: list[Array]) -> None:
        self.d1[...] = 0
        for where, share in self.spread:
            np.add(where, share, where)
        np.greater(self.h1, self.zeros1, self.mask1)
        np.multiply(self.d1, self.mask1, self.d1)
        self._unpooled(self.d1, self.z1, self.h1, self.mask1)
        gradients[0] += np.dot(self.flat1, self.z1.reshape(-1, self.h1.shape[-1]))

    @staticmethod
    def _unpooled(d: Array, z: Array, largest: Array, mask: Array) -> None:
        """The gradient goes to where the maximum came from, in the place of what was pooled."""
        for corner in z:
            np.equal(corner, largest, mask)
            np.multiply(d, mask, corner)


@pooling.on("tuned")
def _(task: Task, threads: int) -> Any:
    given = task.parameters
    size, _, _, one = given["k1"].shape
    two, classes = given["k2"].shape[-1], len(given["b"])
    width = round((given["w"].shape[0] / two) ** 0.5)
    middle = 2 * width + size - 1  # of the first pools: what the second convolution reads
    k1 = np.concatenate([given["k1"].reshape(-1, one), given["b1"][None]])
    p = (k1, given["k2"].reshape(-1, two).copy(), given["b2"].copy(), given["w"].copy(), given["b"].copy())
    team, losses = Team(threads), [0.0] * threads
    sums = [[np.zeros_like(a) for a in p] for _ in range(threads)]
    memory: list[dict[int, Images]] = [{} for _ in range(threads)]
    carried = -task.optimizer.learning_rate

    def step(x: Array, t: Array) -> float:
        def work(k: int) -> None:
            losses[k] = 0.0
            for total in sums[k]:
                total[...] = 0
            for rows in blocks(parts(len(x), threads)[k], AT_ONCE):
                n = rows.stop - rows.start
                if n not in memory[k]:
                    memory[k][n] = Images(n, size, middle, width, one, two, classes)
                losses[k] += memory[k][n](p, x[rows, ..., 0], t[rows], f32(carried / len(x)), sums[k])

        team(work)
        for i, a in enumerate(p):
            for of_thread in sums:
                np.add(a, of_thread[i], a)
        return sum(losses) / len(x)

    def state() -> list[Array]:
        return [k1[:-1].reshape(given["k1"].shape), k1[-1], p[1].reshape(given["k2"].shape), *p[2:]]

    return step, state
