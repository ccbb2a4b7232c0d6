"""Two clouds of points in the plane, which a line separates: the linear classifier's data."""

import numpy as np
from numpy.typing import NDArray

MEANS = ((0.0, 3.0), (3.0, 0.0))
COVARIANCE = ((1.0, 0.5), (0.5, 1.0))


def point_clouds(count: int = 1_000, seed: int | None = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """``count`` points about each of two means, normal with one covariance: float32 ``(2 count, 2)``, and targets ``(2 count, 1)``.

    The first half is about (0, 3) and has the target 0, the second about (3, 0) and has 1 (F. Chollet, Deep Learning with Python, 2021,
    chapter 3). The same ``seed`` gives the same points; None gives others each time.
    """
    random = np.random.default_rng(seed)
    points = np.concatenate([random.multivariate_normal(mean, COVARIANCE, count) for mean in MEANS])
    targets = np.repeat([0.0, 1.0], count)[:, None]
    return points.astype(np.float32), targets.astype(np.float32)
