"""One program for one device, for all devices of a machine, and for a cluster (docs/scale.md).

    python examples/scale.py             one process, with the devices that JAX sees
    srun python examples/scale.py join   one of several processes, here those of Slurm

It trains a network on numbers made up for it, fully sharded: each device holds a part of every weight, and gets a part of each batch.
"""

import os
import sys

import numpy as np

import graphc as gc
from graphc.nn.optimizers import RMSprop

BATCH = 128


def joined() -> tuple[int, int]:
    """Which process this is, of how many. JAX finds that out on TPU pods and under Slurm; an indexed job of Kubernetes says it."""
    if "JOB_COMPLETION_INDEX" not in os.environ:
        return gc.distributed()
    count, index = int(os.environ["PROCESSES"]), int(os.environ["JOB_COMPLETION_INDEX"])
    return gc.distributed(coordinator=os.environ["COORDINATOR"], processes=count, index=index)


def main() -> None:
    index, count = joined() if "join" in sys.argv else (0, 1)

    x, t = gc.input("x", ("batch", 64)), gc.input("t", ("batch",), dtype="int32")
    w1 = gc.variable(gc.init.glorot_uniform((64, 256), seed=0), "hidden/w")
    b1 = gc.variable(np.zeros(256, "float32"), "hidden/b")
    w2 = gc.variable(gc.init.glorot_uniform((256, 8), seed=1), "out/w")
    loss = gc.mean(gc.sparse_categorical_crossentropy(t, gc.relu(x @ w1 + b1) @ w2, from_logits=True))
    weights = [w1, b1, w2]
    updates = RMSprop(1e-3).updates(dict(zip(weights, gc.grad(loss, weights), strict=True)))
    spread = gc.Jax(mesh={"data": -1}, axes={"batch": "data"}, shard="full")
    step = gc.compile([x, t], loss, updates=updates, backend=spread)

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((2048, 64), "float32")
    labels = np.argmax(rows @ rng.standard_normal((64, 8), "float32"), axis=1).astype("int32")
    mine = slice(index, None, count)  # a real data set would be read in parts
    for epoch in range(1, 4):
        tally = gc.epoch(step, gc.Batches([rows[mine], labels[mine]], BATCH // count))
        if index == 0:
            print(f"epoch {epoch}: loss {tally.means:.5f}")
    if index == 0:
        print(step.report.program.placement)


if __name__ == "__main__":
    main()
