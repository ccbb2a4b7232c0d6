"""What each of two processes with two devices does; test_two.py starts them, with the coordinator and the index. It prints JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import jax
import numpy as np
from network import BATCH, RULES, STEPS, Network, batch

import graphc as gc
from graphc.core.errors import GraphcError

AXES = {"batch": "data"}
MESHES = {
    "data": gc.Jax(mesh={"data": 4}, axes=AXES),
    "full": gc.Jax(mesh={"data": -1}, axes=AXES, shard="full"),
    "data and model": gc.Jax(mesh={"data": 2, "model": 2}, axes=AXES, shard=RULES),
    "model across processes": gc.Jax(mesh={"model": 2, "data": 2}, axes=AXES, shard=RULES),
}


def main() -> None:
    me, processes = gc.distributed(coordinator=sys.argv[1], processes=2, index=int(sys.argv[2]), timeout=60)
    assert (processes, jax.process_index(), jax.process_count()) == (2, me, 2), me
    found: dict[str, Any] = {name: train(me, options) for name, options in MESHES.items()}
    found["alone"] = Network().train("jax")  # the default device of each process
    found["total"] = total(me)
    found["errors"] = errors(me)
    print(json.dumps(found))


def part(me: int, value: Any) -> Any:
    rows = len(value) // 2
    return value[me * rows : (me + 1) * rows]


def train(me: int, options: gc.Jax) -> Any:
    """The losses, and sums of the last weights, which each process reads as wholes."""
    network = Network()
    step = network.step(options)
    data = batch() if next(iter(options.mesh or {})) == "model" else [part(me, value) for value in batch()]
    losses: list[float] = []
    for _ in range(STEPS):
        loss = step(*data)
        assert loss.is_fully_addressable, loss.sharding
        losses.append(float(loss + 0))  # an ordinary array: a process may compute with it alone
    weights = [weight.value for weight in network.weights]
    assert [value.shape for value in weights] == [(784, 64), (64,), (64, 10), (10,)]
    compare_logits(network, data[0], options)
    return losses, [float(np.abs(value).sum()) for value in weights]


def compare_logits(network: Network, x: Any, options: gc.Jax) -> None:
    """A process gets the part of an output that belongs to its part of the batch; NumPy reads variables that are spread."""
    logits = gc.compile(network.inputs[0], network.logits, backend=options)(x)
    alone = gc.compile(network.inputs[0], network.logits, backend="numpy")(x)
    assert logits.shape == (len(x), 10)
    np.testing.assert_allclose(logits, alone, rtol=1e-4, atol=1e-5)


def total(me: int) -> float:
    """Functions without variables, and without sizes; numbers that differ between processes are added up."""
    assert float(gc.compile([], gc.sum(gc.ones((3,))), backend=MESHES["data"])()) == 3
    x = gc.input("x", ("batch",))
    return float(gc.compile(x, gc.sum(x), backend=MESHES["data"])(np.full(4, 1.0 + me, "float32")))


def errors(me: int) -> list[str]:
    found: list[str] = []

    def refused(call: Any) -> None:
        try:
            call()
        except GraphcError as error:
            found.append(str(error))

    odd = [value[:63] for value in batch()]
    refused(lambda: Network().step(MESHES["data"])(*odd))
    refused(lambda: Network().step(MESHES["data"])(*[value[: 64 + 2 * me] for value in batch()]))
    refused(lambda: Network(seed=me).step(MESHES["data"])(*batch(BATCH)))
    refused(lambda: Network().step(gc.Jax(mesh={"data": 3}, axes=AXES)))
    refused(lambda: gc.distributed("127.0.0.1:1", 2, 0))
    x = gc.input("x", ("batch",))
    pairs = gc.input("pairs", (2 * x.shape[0],))
    refused(lambda: gc.compile([x, pairs], gc.sum(pairs) + gc.sum(x), backend=MESHES["data"]))
    return found


if __name__ == "__main__":
    main()
