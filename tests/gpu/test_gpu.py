"""What a GPU computes is what NumPy computes. ``JAX_PLATFORMS=cuda,cpu python -m pytest -n0 -m gpu`` where there is one.

``GRAPHC_TEST_DEVICE`` names another device, such as ``tpu:0``; with ``cpu`` the tests themselves can be tried anywhere.
"""

import os
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import nn
from graphc.core import OPS, Op
from graphc.core.errors import BackendError
from graphc.grad import vjp
from graphc.lower.targets.jax.devices import device, seen
from graphc.nn import book
from graphc.nn.optimizers import RMSprop
from graphc.testing import calls

pytestmark = pytest.mark.gpu

DEVICE = os.environ.get("GRAPHC_TEST_DEVICE", "gpu:0")
PLAIN = gc.Jax(device=DEVICE)
EXACT = gc.Jax(device=DEVICE, precision="highest")  # by default a GPU rounds the factors of float32 products to 10 bits (TF32)
CALLED = [op for op in OPS.values() if calls(op) and op.name != "ties"]  # which is tested with max and min, its only readers


@pytest.fixture(autouse=True, scope="module")
def _on_the_device() -> None:
    try:
        device(DEVICE)
    except BackendError:
        pytest.skip(f"JAX sees no {DEVICE}, but {', '.join(seen())}; tests/conftest.py asks it for CPUs unless JAX_PLATFORMS is set")


@pytest.mark.parametrize("op", CALLED, ids=lambda op: op.name)
def test_every_op_is_numpys_and_so_are_gradients(op: Op) -> None:
    """All calls of an op and their gradients in one function, in float64."""
    inputs, values, outputs = [], [], []
    for call in calls(op):
        own = call.inputs()
        node = call.node(own)
        wrt = call.differentiable(own)
        outputs += [node, *(vjp(node, wrt, gc.ones_like(node), disconnected="zero") if wrt else [])]
        inputs += own
        values += call.values()
    ours = gc.compile(inputs, outputs)(*values)
    theirs = gc.compile(inputs, outputs, backend=EXACT)(*values)
    for numpy_value, jax_value in zip(ours, theirs, strict=True):
        assert str(jax_value.dtype) == numpy_value.dtype.name
        np.testing.assert_allclose(np.asarray(jax_value), numpy_value, rtol=1e-9, atol=1e-11)


def trained(backend: Any, dtype: str | None = None, steps: int = 20) -> tuple[np.ndarray, list[Any]]:
    """The losses and the weights of so many steps of a small network, from the same start."""
    nn.set_random_seed(0)
    network = book.network(pixels=64, units=32)
    image, label, loss = book.loss_of(network)
    weights = network.trainable_weights
    rng = np.random.default_rng(0)
    images, labels = rng.random((steps, 128, 64), "float32"), rng.integers(0, 10, (steps, 128)).astype("int32")
    loss = loss if dtype is None else gc.mixed_precision(loss, dtype)
    scaling = gc.LossScale(init_scale=2.0**24) if dtype == "float16" else None
    gradients = (scaling.grad if scaling else gc.grad)(loss, weights)
    updates: dict[Any, Any] = RMSprop().updates(dict(zip(weights, gradients, strict=True)))
    step = gc.compile([image, label], loss, scaling.updates(updates, gradients) if scaling else updates, backend=backend)
    losses = [step(*batch) for batch in zip(images, labels, strict=True)]
    return np.array([float(loss) for loss in losses]), [weight.value for weight in weights]


def test_training_is_that_of_the_cpu() -> None:
    expected, weights = trained("numpy")
    found, others = trained(EXACT)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-2, atol=1e-4)


def test_training_by_tensor_cores_goes_the_same_way() -> None:
    np.testing.assert_allclose(trained(PLAIN)[0], trained("numpy")[0], rtol=1e-2)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision_goes_the_same_way(dtype: str) -> None:
    """The same losses as in float32 to what 8 bits make of them; in float16 the first steps overflow, and are left out."""
    expected, found = trained("numpy", dtype)[0], trained(PLAIN, dtype)[0]
    np.testing.assert_allclose(found, expected, rtol=2e-2)
    plain = trained("numpy")[0]
    assert abs(found[-1] - plain[-1]) < 0.1 * plain[-1]


def test_products_of_16_bits_add_up_in_float32() -> None:
    for dtype in ("bfloat16", "float16"):
        x, y = gc.input("x", (8, 4096), dtype), gc.input("y", (4096, 8), dtype)
        rng = np.random.default_rng(0)
        a, b = (rng.random(shape).astype(gc.core.dtypes.numpy_dtype(dtype)) for shape in ((8, 4096), (4096, 8)))
        found = np.asarray(gc.compile([x, y], x @ y, backend=PLAIN)(a, b), "float64")
        np.testing.assert_allclose(found, a.astype("float64") @ b.astype("float64"), rtol=2.0**-8 if dtype == "bfloat16" else 2.0**-11)


def test_state_lives_there_and_its_memory_is_reused() -> None:
    """Donation: the old weights are gone after a step, and hundreds of steps need no more memory than some."""
    there, size = device(DEVICE), 1024
    x, w = gc.input("x", ("n", size)), gc.variable(np.zeros((size, size), "float32"), "w")
    loss = gc.mean(gc.square(x @ w - 1))
    step = gc.compile(x, loss, {w: w - 0.1 * gc.grad(loss, w)}, backend=PLAIN)
    values = np.random.default_rng(0).random((256, size), "float32")

    def in_use() -> int:
        w.storage.block_until_ready()
        return (there.memory_stats() or {}).get("bytes_in_use", 0)

    for _ in range(3):
        result = step(values)
    assert result.devices() == w.storage.devices() == {there}
    before, old = in_use(), w.storage
    for _ in range(100):
        result = step(values)
    assert old.is_deleted()
    assert in_use() <= before + size * 4  # the losses that are on their way
    assert float(result) < 1


def test_a_device_that_is_not_there() -> None:
    x = gc.input("x", ())
    name = f"{DEVICE.split(':')[0]}:99"
    with pytest.raises(BackendError, match=f"device='{name}'"):
        gc.compile(x, x + 1, backend=gc.Jax(device=name))(0.0)
