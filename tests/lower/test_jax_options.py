"""``gc.Jax(...)``: its options, dtypes and precision, state on the device, the cache, and JAX that is not there."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import graphc as gc
from graphc import cli
from graphc.core.dtypes import numpy_dtype
from graphc.core.errors import ArgumentError, BackendError, GraphcError, ShapeError
from graphc.lower.targets.jax import import_jax

FLOATS = ("float16", "bfloat16", "float32", "float64")


# ---------------------------------------------------------------- options
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": 3}, "device=3 is no name of a device"),
        ({"device": ""}, "device='' is no name of a device"),
        ({"precision": "hi"}, "there is no precision 'hi'; is 'high' meant?\n  fits: 'default', 'high', 'highest'"),
        ({"check": 1}, "check=1"),
        ({"cache": 3}, "cache=3 is no folder"),
        ({"axes": {"batch": "data"}}, "axes= without mesh="),
        ({"shard": "full"}, "shard= without mesh="),
        ({"mesh": {"data": 2}, "device": "cpu"}, "device= and mesh= at once"),
        ({"mesh": {"data": 0}}, "is no mesh"),
        ({"mesh": {}}, "is no mesh"),
        ({"mesh": 8}, "mesh=8 is no mesh"),
        ({"mesh": {"data": 2}, "axes": {"batch": "model"}}, "axes= puts 'batch' on 'model', which the mesh does not have\n  fits: 'data'"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(said)):
        gc.Jax(**options)


def test_backends_that_are_not_there() -> None:
    x = gc.input("x")
    for backend in ("jx", None, {}, gc.Jax):
        with pytest.raises(BackendError, match=re.escape("fits: 'numpy', 'jax', gc.Jax(...)")):
            gc.compile(x, x, backend=backend)
    with pytest.raises(BackendError, match=r"JAX sees no tpu\n  JAX sees\n    cpu:0"):
        gc.compile(x, x, backend=gc.Jax(device="tpu:0"))


def test_options_are_equal_by_their_values_and_do_not_change() -> None:
    assert gc.Jax(device="cpu") == gc.Jax(device="cpu") != gc.Jax()
    with pytest.raises(AttributeError):
        gc.Jax().check = True  # type: ignore[misc]


def test_every_way_to_run_takes_them() -> None:
    x = gc.input("x", (2,))
    backend = gc.Jax(device="cpu", precision="highest")
    run = gc.compile(x, x * 2, backend=backend)
    assert run.report.backend == "jax"
    assert str(run.report).startswith("compiled for jax")
    np.testing.assert_array_equal(run([1, 2]), [2, 4])
    np.testing.assert_array_equal(gc.evaluate(x * 2, {x: [1, 2]}, backend=backend), [2, 4])


# ---------------------------------------------------------------- dtypes and precision
@pytest.mark.parametrize("dtype", FLOATS)
def test_each_dtype_is_computed_in_itself(dtype: str) -> None:
    """Value and gradient against NumPy in float64, and nothing of another width in the program."""
    own = numpy_dtype(dtype)
    x, w = gc.input("x", ("n", 3), dtype), gc.variable(np.linspace(-1, 1, 6).reshape(3, 2).astype(own), "w")
    y = gc.sum(gc.tanh(x @ w))
    value = np.linspace(-1, 1, 12).reshape(4, 3).astype(own)
    run = gc.compile(x, [y, gc.grad(y, w)], {w: w * 2}, backend="jax")
    found = run(value)
    assert [str(result.dtype) for result in found] == [dtype, dtype]
    assert w.value.dtype == own
    widths = set(re.findall(r"x?(bf16|f16|f32|f64)[>\s]", run.hlo()))
    short = {"bfloat16": "bf16"}.get(dtype, dtype.replace("float", "f"))
    assert widths == {short} or (dtype in ("bfloat16", "float16") and widths == {short, "f32"})  # sums of 16 bits are added up in 32
    exact, weights = value.astype("float64"), np.linspace(-1, 1, 6).reshape(3, 2).astype(own).astype("float64")
    hidden = np.tanh(exact @ weights)
    tolerance = 16 * float(np.finfo(own).eps) if dtype != "bfloat16" else 16 * 2.0**-7
    np.testing.assert_allclose(np.float64(found[0]), hidden.sum(), atol=tolerance)
    np.testing.assert_allclose(np.asarray(found[1], "float64"), exact.T @ (1 - hidden**2), atol=2 * tolerance)
    np.testing.assert_array_equal(w.value.astype("float64"), 2 * weights)


@pytest.mark.parametrize("dtype", ["int64", "uint64", "complex128"])
def test_wide_integers_and_complex_numbers_stay_wide(dtype: str) -> None:
    x = gc.input("x", (1,), dtype)
    value = np.array([2**40 + 1 if dtype != "complex128" else 1 + 2**-40 * 1j], dtype)
    found = gc.compile(x, x + x, backend="jax")(value)
    assert np.asarray(found).dtype == value.dtype
    np.testing.assert_array_equal(found, value + value)
    assert jax.numpy.ones(1).dtype == "float32"  # outside of the call JAX is as it was


def test_the_precision_is_that_of_every_product() -> None:
    x, kernel = gc.input("x", (1, 6, 6, 2)), gc.input("kernel", (3, 3, 2, 4))
    rows = gc.input("rows", (5, 3))
    products = [
        gc.conv(x, kernel),
        gc.matmul(rows, gc.transpose(rows)),
        gc.einsum("ij,ik->jk", rows, rows),
        gc.scan(lambda c, row: (gc.tanh(rows @ row), c), gc.zeros((5,)), rows)[0],
    ]
    outputs = [*products, *gc.grad(gc.sum(products[0]), [x, kernel])]
    for precision in ("high", "highest"):
        run = gc.compile([x, kernel, rows], outputs, backend=gc.Jax(precision=precision))
        text = run.hlo()
        products = re.findall(r"stablehlo\.(?:dot_general|convolution).*", text)
        named = [line for line in products if f"{precision.upper()}" in line]
        assert len(named) == len(products) >= 6, text
        assert f"default_matmul_precision('{precision}')" in run.source
    assert "HIGH" not in gc.compile([x, kernel, rows], outputs, backend="jax").hlo()


# ---------------------------------------------------------------- state
def test_state_stays_on_the_device() -> None:
    x, w = gc.input("x", (3,)), gc.variable(np.ones(3, "float32"), "w")
    step = gc.compile(x, gc.sum(w * x), {w: w + x}, backend="jax")
    read = gc.compile(x, w * x, backend="jax")
    value = jax.numpy.ones(3)
    step(value)
    read(value)
    old = w.storage
    step(value)
    assert old.is_deleted()  # donated: the new value has its memory
    with jax.transfer_guard("disallow"):
        results = [step(value) for _ in range(5)]
        before = w.storage
        read(value)
        assert w.storage is before
    assert all(isinstance(result, jax.Array) for result in results)
    assert [float(result) for result in results] == [9, 12, 15, 18, 21]


def test_what_is_only_read_is_brought_to_the_device_once() -> None:
    w = gc.variable(np.ones(3, "float32"), "w")
    read = gc.compile([], w * 2, backend="jax")
    read()
    before = w.storage
    read()
    assert isinstance(before, jax.Array)
    assert w.storage is before


def test_state_goes_from_one_backend_to_another_and_back() -> None:
    w = gc.variable(np.zeros(3, "float32"), "w")
    steps = [
        gc.compile([], gc.sum(w), {w: w + 1}, backend=backend) for backend in ("jax", "numpy", gc.Jax(device="cpu"), gc.Jax(check=True))
    ]
    seen = []
    for _ in range(3):
        for step in steps:
            kept = w.value
            step()
            seen.append(w.value[0])
            np.testing.assert_array_equal(kept, w.value - 1)  # a copy, which no later step writes
    assert seen == list(range(1, 13))
    first = np.full(3, 7, "float32")
    w.assign(first)
    for step in steps:
        step()
    np.testing.assert_array_equal(first, 7)
    np.testing.assert_array_equal(w.value, 11)


def test_a_variable_that_was_given_to_jax_is_not_the_array_that_it_came_from() -> None:
    array = np.ones(1024, "float32")
    w = gc.variable(array, "w")
    gc.compile([], [], {w: w * 3}, backend="jax")()
    np.testing.assert_array_equal(array, 1)
    np.testing.assert_array_equal(w.value, 3)


_TWO_DEVICES = """
import numpy as np
import graphc as gc
v, w = (gc.variable(np.zeros(2, "float32"), name) for name in "vw")
backends = [gc.Jax(device="cpu:0"), "numpy", gc.Jax(device="cpu:1"), "jax", gc.Jax(mesh={"data": 2}), gc.Jax(device="cpu:1", check=True)]
steps = [gc.compile([], gc.sum(w), {w: w + 1}, backend=backend) for backend in backends]
for step in steps:
    step()
    print(int(w.value[0]), sorted(device.id for device in w.storage.devices()) if hasattr(w.storage, "devices") else "in memory")
gc.compile([], [], {v: v + 1}, backend=gc.Jax(device="cpu:0"))()
try:
    gc.compile([], v + w, backend="jax")()
except gc.errors.BackendError as error:
    print(error)
print(gc.compile([], v + w, backend=gc.Jax(device="cpu:1"))())
"""


def test_functions_on_several_devices_hand_the_state_to_one_another() -> None:
    said = _run(_TWO_DEVICES, {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}).splitlines()
    assert said[:6] == ["1 [0]", "2 in memory", "3 [1]", "4 [1]", "5 [0, 1]", "6 [1]"]
    assert said[6] == "the inputs and variables lie on different devices"
    assert [line[:26] for line in said[7:9]] == ["  f32[2]   variable 'v', <", "  f32[2]   variable 'w', <"]
    assert said[9:] == ['  fits: gc.Jax(device="gpu:0"), which brings all of them there', "[7. 7.]"]


# ---------------------------------------------------------------- what it is, and what XLA makes of it
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_source_stands_alone(dtype: str) -> None:
    x, w = gc.input("x", ("n", 6, 6, 2), dtype), gc.variable(np.linspace(-1, 1, 36).reshape(3, 3, 2, 2), "w", dtype)
    y = gc.softmax(gc.mean(gc.conv(x, w), axis=(1, 2)))
    y = gc.scan(lambda c, _: (gc.tanh(c @ gc.eye(2, dtype=dtype)), None), y, None, length=3)[0]
    value = np.linspace(0, 1, 4 * 72).reshape(4, 6, 6, 2).astype(dtype)
    run = gc.compile(x, y, {w: w - gc.grad(gc.sum(y * y), w)}, backend="jax")
    assert "import graphc" not in run.source
    assert "from graphc" not in run.source
    assert ("jax_enable_x64" in run.source) is (dtype == "float64")
    names: dict[str, Any] = {}
    exec(run.source, names)
    with jax.enable_x64(dtype == "float64"):
        outputs, updates, _ = jax.jit(names["make"](4))(value, w.value)
    np.testing.assert_array_equal(outputs[0], run(value))
    np.testing.assert_array_equal(updates[0], w.value)
    assert str(outputs[0].dtype) == dtype


def test_the_program_of_xla() -> None:
    x, w = gc.input("x", ("n", 3)), gc.variable(np.ones((3, 2), "float32"), "w")
    run = gc.compile(x, x @ w, {w: w + 1}, backend="jax")
    with pytest.raises(ArgumentError, match=r"hlo\(\) without shapes, before the first call\n  f32\[n, 3\]"):
        run.hlo()
    assert "tensor<5x3xf32>" in run.hlo((5, 3))
    assert "tensor<2x3xf32>" in run.hlo(np.ones((2, 3)))
    assert run.hlo((5, 3)) == run.hlo((5, 3))
    run(np.ones((7, 3), "float32"))
    np.testing.assert_array_equal(w.value, 2)  # looking computed nothing
    assert "stablehlo.dot_general" in run.hlo()
    assert "tensor<7x3xf32>" in run.hlo()
    assert "HloModule" in run.hlo(optimized=True)
    for shapes, error in ([(5, 4)], ShapeError), ([(5, 3), (1,)], ArgumentError), ([(3,)], ShapeError):
        with pytest.raises(error):
            run.hlo(*shapes)
    for look in (gc.compile(x, x).hlo, gc.compile(x, x).cost):
        with pytest.raises(BackendError, match="of a function on NumPy"):
            look((2, 3))


def test_no_inputs_need_no_shapes() -> None:
    assert "stablehlo" in gc.compile([], gc.variable(1.0, "w") * 2, backend="jax").hlo()


def test_the_cost_is_xlas() -> None:
    x, w = gc.input("x", ("n", 64)), gc.variable(np.ones((64, 32), "float32"), "w")
    run = gc.compile(x, gc.sum(gc.exp(x @ w)), {w: w + 1}, backend="jax")
    cost = run.cost((16, 64))
    assert cost.flops is not None
    assert 2 * 16 * 64 * 32 <= cost.flops <= 1.5 * 2 * 16 * 64 * 32
    assert cost.transcendentals == 16 * 32
    assert cost.argument_bytes == 4 * (16 * 64 + 64 * 32)
    assert cost.donated_bytes == 4 * 64 * 32
    assert cost.result_bytes is not None
    assert cost.peak_bytes is not None
    assert cost.peak_bytes >= cost.argument_bytes
    assert cost.nbytes is not None
    assert cost.nbytes >= cost.argument_bytes
    assert "flops            6" in str(cost)
    assert run.cost((32, 64)).flops > cost.flops  # pyright: ignore[reportOptionalOperand]
    wide = gc.input("wide", (8,), "float64")
    assert gc.compile(wide, wide + 1, backend="jax").cost().argument_bytes == 64


# ---------------------------------------------------------------- the cache
_CACHED = """
import logging, sys
import numpy as np
import graphc as gc
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
x = gc.input("x", ("n", 3))
w = gc.variable(np.ones((3, 3), "float32"), "w")
step = gc.compile(x, gc.sum(gc.tanh(x @ w)), {w: w * 2}, backend=gc.Jax(cache=%s))
print("result", step(np.ones((2, 3), "float32")), w.value[0, 0])
"""


def test_another_process_finds_what_was_compiled(tmp_path: Path) -> None:
    folder = tmp_path / "a folder" / "of mine"
    asked = [repr(str(folder)), "True"]  # True: the folder that JAX was told of
    environ = [{}, {"JAX_COMPILATION_CACHE_DIR": str(folder)}]
    said = [_run(_CACHED % cache, extra) for cache, extra in zip(asked, environ, strict=True)]
    results = [re.findall("result .*", text) for text in said]
    assert results[0] == results[1] != []
    hits = [len(re.findall("Persistent compilation cache hit for 'jit_step'", text)) for text in said]
    assert hits == [0, 1], said[1]
    assert list(folder.iterdir())


def test_the_cache_of_graphc_is_in_the_users_cache_folder(tmp_path: Path) -> None:
    _run(_CACHED % "True", {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)})
    assert any(path.name.startswith("jit_step") for path in tmp_path.rglob("graphc/jax/*"))


def test_a_cache_that_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    x = gc.input("x")
    with pytest.raises(BackendError, match="the folder cannot be made"):
        gc.compile(x, x, backend=gc.Jax(cache=file / "below"))


def _run(program: str, extra: dict[str, str]) -> str:
    environ = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    environ |= {"PYTHONPATH": str(Path(gc.__file__).parent.parent), **extra}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---------------------------------------------------------------- JAX that is not there, or broken
BROKEN = {
    "absent": None,
    "of another version": "raise RuntimeError('jaxlib version 0.1 is older than the minimum')",
    "half installed": "from jax.nowhere import nothing",
    "with a bug": "1 / 0",
}


@pytest.mark.parametrize("how", BROKEN)
def test_without_jax_numpy_works_and_the_error_says_what_to_install(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = BROKEN[how]
    if source is None:
        monkeypatch.setitem(sys.modules, "jax", None)
    else:
        (tmp_path / "jax").mkdir()
        (tmp_path / "jax/__init__.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "jax")
    x, w = gc.input("x", (2,)), gc.variable(np.ones(2, "float32"), "w")
    for backend in ("jax", gc.Jax(check=True), gc.Jax(device="gpu:0"), gc.Jax(mesh={"data": 2})):
        with pytest.raises(BackendError, match="needs JAX, which does not import") as caught:
            gc.compile(x, x * w, backend=backend)
        for extra in ("jax", "cuda", "tpu"):
            assert f'"graphc[{extra}]"' in str(caught.value)
    np.testing.assert_array_equal(gc.compile(x, x * w, {w: w + 1})([1, 2]), [1, 2])
    assert cli.main(["devices"]) == 1
    assert 'pip install "graphc[jax]"' in capsys.readouterr().err


@pytest.mark.parametrize("error", [RuntimeError("Unable to initialize backend 'cuda'"), AssertionError()], ids=type)
def test_jax_without_a_device_that_works(error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As with ``JAX_PLATFORMS=cuda`` where the driver does not start, or where no plugin is installed."""

    def broken() -> str:
        raise error

    monkeypatch.setattr(jax, "default_backend", broken)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    x = gc.input("x", (2,))
    for backend in ("jax", gc.Jax(check=True), gc.Jax(device="gpu:0"), gc.Jax(mesh={"data": 2})):
        with pytest.raises(BackendError, match=r"JAX has no device that works.*\n  JAX_PLATFORMS=cuda\n.*graphc\[cuda\]"):
            gc.compile(x, x * 2, backend=backend)([1, 2])
    assert cli.main(["devices"]) == 1
    assert '"graphc[tpu]" for TPUs' in capsys.readouterr().err


def test_devices_are_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert cli.main(["devices"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"JAX {jax.__version__} sees"
    assert lines[1].startswith("cpu:0  ")
    assert lines[-1].startswith("and no accelerator, with JAX_PLATFORMS=cpu.")
    assert 'pip install "graphc[cuda]"' in lines[-1]


def test_the_module_is_jax() -> None:
    assert import_jax() is jax
    assert issubclass(BackendError, GraphcError)
