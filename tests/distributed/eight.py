"""Checks on 8 simulated devices. test_eight.py runs them all in one process, which prints what came of each as JSON."""

from __future__ import annotations

import json
import re
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P
from network import RULES, Network, batch

import graphc as gc
from graphc import nn
from graphc.core.errors import ArgumentError, BackendError, BoundsError, GraphcError, PlacementWarning, ShapeError

AXES = {"batch": "data"}
DATA = gc.Jax(mesh={"data": 8}, axes=AXES)
BOTH = gc.Jax(mesh={"data": 4, "model": 2}, axes=AXES, shard=RULES)
FULL = gc.Jax(mesh={"data": 8}, axes=AXES, shard="full")
COLLECTIVES = re.compile(r" = .*? (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\(")


@cache
def expected() -> tuple[list[float], list[Any]]:
    """Losses and last weights of one device."""
    network = Network()
    return network.train(), [weight.value for weight in network.weights]


def trained(options: gc.Jax) -> Network:
    """The network after some steps on a mesh, with the losses and weights of one device."""
    network = Network()
    np.testing.assert_allclose(network.train(options), expected()[0], rtol=2e-6)
    for weight, value in zip(network.weights, expected()[1], strict=True):
        np.testing.assert_allclose(weight.value, value, rtol=1e-4, atol=1e-6)
    return network


def specs(network: Network) -> dict[str, P]:
    """How weights lie; their slots lie as they do."""
    for weight, slots in zip(network.weights, network.slots, strict=True):
        assert {slot.storage.sharding for slot in slots} == {weight.storage.sharding}, weight
    return {str(weight.label): weight.storage.sharding.spec for weight in network.weights}


def collectives(options: gc.Jax) -> Counter[str]:
    """What XLA put into the compiled step to communicate, by what it is."""
    return Counter(COLLECTIVES.findall(Network().step(options).hlo(*batch(), optimized=True)))


def refused(error: type[GraphcError], text: str, call: Callable[[], Any]) -> None:
    with pytest.raises(error) as raised:
        call()
    assert text in str(raised.value)


def check_eight_devices() -> None:
    assert jax.device_count() == 8


# ---------------------------------------------------------------- layouts
def check_data_parallel() -> None:
    assert set(specs(trained(DATA)).values()) == {P()}
    assert set(collectives(DATA)) == {"all-reduce"}  # of gradients and of the loss, joined into one or more


def check_a_model_is_fitted() -> None:
    x = np.random.default_rng(0).random((24, 6), np.float32)
    histories = []
    for backend in ("jax", DATA):
        nn.set_random_seed(0)
        model = nn.Sequential([nn.layers.Dense(8, activation="relu"), nn.layers.Dense(1)])
        model.compile("adam", "mse", metrics=["mae"], backend=backend)
        history = model.fit(x, x.sum(1), batch_size=8, epochs=2, verbose=0).history
        histories.append([*history["loss"], *history["mae"], *model.evaluate(x, x.sum(1), verbose=0)])
    np.testing.assert_allclose(*histories, rtol=1e-5)


def check_data_and_model_parallel() -> None:
    network = trained(BOTH)
    assert specs(network) == {"hidden/w": P(None, "model"), "hidden/b": P("model"), "out/w": P("model"), "out/b": P()}
    assert network.weights[0].storage.addressable_shards[0].data.shape == (784, 32)
    found = collectives(BOTH)
    assert found["all-reduce"] >= 2, found  # over the data, and of the second product
    assert not found["all-gather"], found  # no weight is put together


def check_fully_sharded() -> None:
    network = trained(FULL)
    assert specs(network) == {"hidden/w": P("data"), "hidden/b": P("data"), "out/w": P("data"), "out/b": P()}  # 8 does not divide 10
    assert {shard.data.nbytes for shard in network.weights[0].storage.addressable_shards} == {784 * 64 * 4 // 8}
    found = collectives(FULL)
    assert found["all-gather"] >= 2, found  # each kernel, before it is used
    # XLA sums gradients by reduce-scatter on GPU and TPU; on CPU it sums them everywhere and takes a piece.
    assert found["reduce-scatter"] or found["all-reduce"], found


def check_the_largest_axis_is_cut_and_the_first_of_equal_ones() -> None:
    values = {"a": (3, 16), "b": (16, 16), "c": (7, 5), "d": ()}
    state = [gc.variable(np.ones(shape), name) for name, shape in values.items()]
    x = gc.input("x", ("batch",))
    step = gc.compile([x], gc.sum(x), updates={v: v * gc.sum(x) for v in state}, backend=FULL)
    step(np.ones(8, "float32"))
    assert [v.storage.sharding.spec for v in state] == [P(None, "data"), P("data"), P(), P()]


def check_the_first_rule_counts() -> None:
    rules = {"out/*": None, "hidden/b": "full", "mean": (None,), "hidden/[w]": ["model", "data"], "*": ()}
    network = Network()
    options = gc.Jax(mesh={"data": 4, "model": 2}, axes=AXES, shard=rules)
    np.testing.assert_allclose(network.train(options), expected()[0], rtol=2e-6)
    assert [weight.storage.sharding.spec for weight in network.weights] == [P("model", "data"), P("data"), P(), P()]
    mean, square = network.slots[0]
    assert mean.storage.sharding.spec == P()  # its own rule; square has the last one
    assert square.storage.sharding.spec == P()


def check_an_average_of_a_weight_lies_as_the_weight() -> None:
    w, average = gc.variable(np.ones((8, 8)), "w"), gc.variable(np.zeros((8, 8)), "average")
    apart = gc.variable(np.ones((8, 8)), "apart")
    x = gc.input("x", ("batch", 8))
    new = w - gc.grad(gc.sum((x @ w) @ apart), w)
    updates = {w: new, average: 0.9 * average + 0.1 * new, apart: apart + gc.transpose(x) @ x}
    gc.compile([x], gc.sum(x), updates=updates, backend=gc.Jax(mesh={"data": 8}, axes=AXES, shard={"w": ("data",)}))(
        np.ones((8, 8), "float32")
    )
    assert [v.storage.sharding.spec for v in (w, average, apart)] == [P("data"), P("data"), P()]


def check_outputs_that_have_the_batch_are_spread() -> None:
    network = Network()
    x, _ = batch()
    logits, loss = gc.compile(network.inputs, [network.logits, network.loss], backend=DATA)(*batch())
    assert (logits.sharding.spec, loss.sharding.spec) == (P("data"), P())
    (alone,) = gc.compile(network.inputs[0], [network.logits], backend="jax")(x)
    np.testing.assert_allclose(logits, alone, rtol=1e-5, atol=1e-6)


def check_the_placement_is_text() -> None:
    text = str(Network().step(BOTH).report.program.placement)
    assert "mesh {data: 4, model: 2} of 8 cpu devices" in text
    assert re.search(r"variable +hidden/w +f32\[784, 64\] +\(None, model\)", text), text
    assert re.search(r"input +x +f32\[batch, 784\] +\(data, None\)", text), text
    report = [line.strip() for line in str(Network().step(BOTH).report).splitlines()]
    assert {line.strip() for line in f"placed on {text}".splitlines()} <= {*report}
    assert "placed on cpu:3" in str(Network().step(gc.Jax(device="cpu:3")).report)


# ---------------------------------------------------------------- calls
def check_what_is_donated_is_gone_and_nothing_is_compiled_twice() -> None:
    network = Network()
    step = network.step(FULL)
    step(*batch())
    before = network.weights[0].storage
    step(*batch())
    assert before.is_deleted()
    events: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, _seconds, **_more: events.append(event))
    step(*batch())
    assert not [event for event in events if "compile" in event], events


def check_a_batch_that_is_not_divided_is_right_and_warns() -> None:
    data = batch(100)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        losses = Network().train(DATA, data)
    np.testing.assert_allclose(losses, Network().train("jax", data), rtol=2e-6)
    assert [one.category for one in caught] == [PlacementWarning]
    assert "batch = 100 is not divided by the 8 devices of 'data'" in str(caught[0].message)


def check_inputs_may_be_on_devices() -> None:
    network = Network()
    x, t = batch()
    step = network.step(BOTH)
    losses = [float(step(jax.device_put(x, jax.devices()[5]), jax.numpy.asarray(t))) for _ in range(3)]
    np.testing.assert_allclose(losses, expected()[0][:3], rtol=2e-6)


def check_variables_go_from_one_function_to_another() -> None:
    network = Network()
    x, t = batch()
    losses = [float(network.step(options)(x, t)) for options in (FULL, "jax", BOTH, gc.Jax(device="cpu:2"), "numpy", FULL)]
    alone = Network()
    np.testing.assert_allclose(losses, alone.train(steps=6), rtol=5e-6)
    for backend in ("numpy", "jax", BOTH):
        logits = gc.compile(network.inputs[0], network.logits, backend=backend)(x)
        np.testing.assert_allclose(logits, gc.compile(alone.inputs[0], alone.logits)(x), rtol=1e-3, atol=1e-4)


def check_a_value_that_is_assigned_is_spread_anew() -> None:
    network = Network()
    step = network.step(FULL)
    step(*batch())
    w = network.weights[0]
    new = np.random.default_rng(1).random(w.shape).astype("float32")
    w.value = new
    new[:] = 0
    gc.compile([], gc.sum(w), backend=FULL)
    step(*batch())
    assert w.storage.sharding.spec == P("data")
    assert w.value.std() > 0.2


def check_float64_stays_float64() -> None:
    data = (batch()[0].astype("float64"), batch()[1])
    network = Network("float64")
    np.testing.assert_allclose(network.train(FULL, data), Network("float64").train("numpy", data), rtol=1e-12)
    assert {weight.value.dtype for weight in network.weights} == {np.dtype("float64")}


def check_loops_and_convolutions_on_a_mesh() -> None:
    images = gc.input("images", ("batch", 12, 12, 3))
    kernel = gc.variable(gc.init.glorot_uniform((3, 3, 3, 8), seed=0), "kernel")
    kept = gc.relu(gc.conv(images, kernel))
    carried, _ = gc.scan(lambda h, _: (gc.tanh(h + gc.mean(kept, axis=(1, 2))), None), gc.sum(kept, axis=(1, 2)) * 0, None, length=4)
    loss = gc.mean(gc.sort(carried, axis=0)[0] + gc.max(carried, axis=0))
    value = np.random.default_rng(0).random((16, 12, 12, 3), "float32")
    results = [gc.compile(images, [loss, gc.grad(loss, kernel)], backend=b)(value) for b in ("numpy", DATA, FULL)]
    for result in results[1:]:
        for one, other in zip(result, results[0], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def check_many_steps_in_one_call() -> None:
    x, t = (np.concatenate([part] * 4) for part in batch())
    for options, spec in ((BOTH, P(None, "model")), (FULL, P("data"))):
        networks = Network(), Network()
        alone = gc.epoch(networks[0].step("jax"), gc.Batches([x, t], 128))
        many = gc.epoch(networks[1].step(options), gc.Batches([x, t], 128), steps_per_call=2)
        np.testing.assert_allclose(many.means, alone.means, rtol=1e-5)
        assert specs(networks[1])["hidden/w"] == spec


def check_a_check_on_a_mesh_names_the_node() -> None:
    x, t = batch()
    network = Network()
    step = network.step(gc.Jax(mesh={"data": 8}, axes=AXES, shard="full", check=True))
    step(x, t)
    before = network.weights[0].value
    t[3] = 77
    refused(BoundsError, "pick: an index is out of bounds for an axis of size 10", lambda: step(x, t))
    np.testing.assert_array_equal(network.weights[0].value, before)


def check_the_python_of_the_page() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "scale.md").read_text("utf-8")
    snippets = [part for part in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "gc.distributed" not in part]
    assert len(snippets) == 3
    network = Network()
    (x, t), loss, updates = network.inputs, network.loss, network.updates
    known: dict[str, Any] = {"gc": gc, "x": x, "t": t, "loss": loss, "updates": updates}
    for snippet in snippets:
        exec(snippet.replace("gpu:0", "cpu:0"), known)  # the repository's own page
        assert np.isfinite(known["step"](*batch()))


# ---------------------------------------------------------------- one device
def check_one_device() -> None:
    network = Network()
    here = {jax.devices()[3]}
    step = network.step(gc.Jax(device="cpu:3"))
    assert step(*batch()).devices() == here
    assert step(*(jax.numpy.asarray(part) for part in batch())).devices() == here
    assert network.weights[0].storage.devices() == here
    assert gc.compile([], gc.ones((3,)), backend=gc.Jax(device="cpu:3"))().devices() == here


def check_devices_that_are_not_there() -> None:
    refused(BackendError, "JAX sees no gpu", lambda: Network().step(gc.Jax(device="gpu:0")))
    refused(BackendError, 'pip install "graphc[cuda]"', lambda: Network().step(gc.Jax(device="cuda")))
    refused(BackendError, "cpu:7  cpu", lambda: Network().step(gc.Jax(device="tpu:1")))
    refused(BackendError, "cpu:0 to cpu:7", lambda: Network().step(gc.Jax(device="cpu:8")))
    refused(BackendError, "no name of a device", lambda: Network().step(gc.Jax(device="fpga")))


# ---------------------------------------------------------------- meshes that do not fit
def check_meshes_that_do_not_fit() -> None:
    refused(BackendError, "16 devices, and JAX sees 8", lambda: Network().step(gc.Jax(mesh={"data": 8, "model": 2})))
    refused(BackendError, "8 devices do not make rows of 3", lambda: Network().step(gc.Jax(mesh={"data": -1, "model": 3})))
    refused(ArgumentError, "no input has a size 'rows'", lambda: Network().step(gc.Jax(mesh={"data": 8}, axes={"rows": "data"})))


def check_an_axis_that_takes_what_is_left() -> None:
    assert "mesh {data: 4, model: 2}" in str(Network().step(gc.Jax(mesh={"data": -1, "model": 2}, axes=AXES)).report.program.placement)
    assert "mesh {data: 2} of 2 cpu devices" in str(Network().step(gc.Jax(mesh={"data": 2}, axes=AXES)).report.program.placement)


def check_rules_that_do_not_fit() -> None:
    def step(shard: Any) -> None:
        Network().step(gc.Jax(mesh={"data": 4, "model": 2}, axes=AXES, shard=shard))

    refused(ArgumentError, "no variable has a name like 'dense/*'", lambda: step({"dense/*": ("model",)}))
    refused(ShapeError, "'data' has 4 devices, which do not divide 10", lambda: step({"out/b": ("data",)}))
    refused(ArgumentError, "does not lay out hidden/b", lambda: step({"hidden/b": ("data", "model")}))
    refused(ArgumentError, "does not lay out hidden/w", lambda: step({"hidden/w": ("data", "data")}))
    refused(ArgumentError, "does not lay out hidden/w", lambda: step({"hidden/w": ("rows",)}))
    refused(ArgumentError, "shard: 'fully'", lambda: step("fully"))
    refused(ArgumentError, "shard: 'data' for hidden/b", lambda: step({"hidden/b": "data"}))
    refused(ArgumentError, "shard=3", lambda: step(3))


def main() -> None:
    found: dict[str, str] = {}
    for name, check in list(globals().items()):
        if name.startswith("check_"):
            started = process_time()
            try:
                check()
            except Exception:  # whatever it is, it is this check's result
                found[name] = traceback.format_exc()
            else:
                found[name] = ""
            print(f"{process_time() - started:6.2f} s  {name}", file=sys.stderr)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
