"""Functions as files: what was saved is what is loaded, in this process and in another; bad files and bad requests are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core.errors import ArgumentError, BackendError, ShapeError
from graphc.export import FORMAT, ExportError, read, write
from graphc.export.file import _digest  # pyright: ignore[reportPrivateUsage]
from graphc.lower import rolling

jax = pytest.importorskip("jax")
pytest.importorskip("flatbuffers")
from safetensors.numpy import load as load_arrays  # noqa: E402
from safetensors.numpy import save as save_arrays  # noqa: E402

RNG = np.random.default_rng(0)
X, T = RNG.standard_normal((12, 5)).astype("float32"), (np.arange(12) % 3).astype("int32")


def training(backend: Any = "jax") -> gc.Function:
    x, t = gc.input("x", ("batch", 5)), gc.input("t", ("batch",), "int32")
    w, b = gc.variable(np.linspace(-1, 1, 15).reshape(5, 3), "w", "float32"), gc.variable(np.zeros(3, "float32"), "b")
    unread = gc.variable(np.float64(2), "count", "float64")
    logits = gc.tanh(x @ w) + b
    loss = gc.mean(gc.sparse_categorical_crossentropy(t, logits, from_logits=True))
    dw, db = gc.grad(loss, [w, b])
    return gc.compile([x, t], loss, {w: w - 0.1 * dw, b: b - 0.1 * db, unread: unread + 1.0}, backend=backend)


def small(backend: Any, outputs: Callable[[Any, Any], Any] = lambda total, y: total) -> gc.Function:
    """A step that XLA compiles at once."""
    x, w = gc.input("x", ("batch", 5)), gc.variable(np.linspace(-1, 1, 15).reshape(5, 3), "w", "float32")
    y = x @ w
    return gc.compile(x, outputs(gc.sum(y), y), {w: w * 0.5}, backend=backend)


def values(function: gc.Function) -> dict[str | None, np.ndarray]:
    return {variable.label: variable.value for variable in function.variables}


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_a_loaded_function_does_what_the_original_does(backend: str, tmp_path: Path) -> None:
    step = training(backend)
    step(X, T)
    assert step.save(tmp_path / "step.graphc") == tmp_path / "step.graphc"
    assert [path.name for path in tmp_path.iterdir()] == ["step.graphc"]
    loaded = gc.load(tmp_path / "step.graphc")
    assert [str(x.type) for x in loaded.inputs] == [str(x.type) for x in step.inputs]
    assert [x.label for x in loaded.inputs] == ["x", "t"]
    for rows in (12, 1, 12):  # sizes that are names stay names
        np.testing.assert_allclose(loaded(X[:rows], T[:rows]), step(X[:rows], T[:rows]), rtol=1e-5)
    for name, value in values(step).items():
        np.testing.assert_allclose(values(loaded)[name], value, rtol=1e-5, atol=1e-7)
    assert values(loaded)["count"] == 6

    again = gc.load(tmp_path / "step.graphc")  # with variables of its own
    assert values(again)["count"] == 3
    for variable in again.variables:
        variable.assign(values(loaded)[variable.label])
    assert again(X, T) == loaded(X, T)


def test_a_loaded_function_is_a_function(tmp_path: Path) -> None:
    step = training("numpy")
    step.save(tmp_path / "f")
    loaded = gc.load(tmp_path / "f")
    assert "stablehlo" in loaded.source
    assert "stablehlo" in loaded.hlo((4, 5), (4,))
    assert "function of (x, t) on jax" in repr(loaded)
    assert "compiled for jax" in str(loaded.report)
    with pytest.raises(ShapeError, match="shape"):
        loaded(X[:, :3], T)
    with pytest.raises(ArgumentError, match="given 1 values"):
        loaded(X)
    with pytest.raises(ShapeError, match="'batch' is 0"):
        loaded(X[:0], T[:0])
    # It is fed like any other, and saved again.
    tallies = [gc.epoch(f, gc.Batches((X, T), 6, shuffle=0), steps_per_call="epoch") for f in (step, loaded)]
    assert tallies[0].means == pytest.approx(tallies[1].means, rel=1e-5)
    loaded.save(tmp_path / "g")
    third = gc.load(tmp_path / "g")
    assert third(X, T) == loaded(X, T)
    for name, value in values(third).items():
        np.testing.assert_array_equal(value, values(loaded)[name])


STRUCTURES: list[Callable[[Any, Any], Any]] = [
    lambda total, y: total,
    lambda total, y: [total],
    lambda total, y: (total, y),
    lambda total, y: {"total": total, 3: y, None: total},
    lambda total, y: [],
]


@pytest.mark.parametrize("outputs", STRUCTURES)
def test_outputs_come_in_their_structure(outputs: Callable[[Any, Any], Any], tmp_path: Path) -> None:
    step = small("numpy", outputs)
    step.save(tmp_path / "f", platforms="cpu")
    found, expected = gc.load(tmp_path / "f")(X), step(X)
    if isinstance(expected, list | tuple | dict):
        assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    parts = (list(one) if isinstance(one, list | tuple) else [one] for one in (found, expected))
    for one, other in zip(*parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_another_process_runs_it_without_the_program_that_declared_it(tmp_path: Path) -> None:
    step = small("numpy")
    step.save(tmp_path / "f")
    np.savez(tmp_path / "data.npz", x=X)
    program = (
        "import numpy as np, graphc as gc\n"
        "f = gc.load('f')\n"
        "data = np.load('data.npz')\n"
        "print(float(f(data['x'])), f.variables[0].label, f.variables[0].value.tolist())\n"
    )
    environ = os.environ | {"PYTHONPATH": str(Path(gc.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    total, label, after = done.stdout.split(maxsplit=2)
    assert float(total) == pytest.approx(float(step(X)), rel=1e-5)
    assert (label, json.loads(after)) == ("w", step.variables[0].value.tolist())


FORMS: dict[str, Callable[[], tuple[list[Any], Any, list[np.ndarray]]]] = {}


def form(function: Callable[[], tuple[list[Any], Any, list[np.ndarray]]]) -> Any:
    FORMS[function.__name__] = function
    return function


@form
def linear_algebra() -> Any:
    a = gc.input("a", (3, 3))
    value = np.float32([[4, 1, 0], [1, 3, 1], [0, 1, 2]])
    return [a], [gc.linalg.cholesky(a), gc.linalg.solve(a, a + 1.0), *gc.linalg.qr(a), gc.linalg.eigh(a)[0], gc.linalg.svd(a)[1]], [value]


@form
def random_numbers() -> Any:
    key = gc.input("key", (2,), "uint32")
    return [key], [gc.random.normal(key, (3,)), gc.random.uniform(key, (4,))], [np.uint32([1, 2])]


@form
def a_loop_over_a_named_length() -> Any:
    x = gc.input("x", ("steps", 3))
    _, ys = gc.scan(lambda carry, item: (0.5 * carry + item,) * 2, gc.constant(np.zeros(3, "float32")), x)
    return [x], ys, [X[:, :3]]


@form
def complex_numbers() -> Any:
    x = gc.input("x", ("n",), "complex64")
    c = gc.variable(np.complex128(1 + 2j), "c", "complex128")
    return [x], [gc.exp(x), x * c], [np.complex64([1j, 2, 3 - 1j])]


@form
def bfloat16_and_bytes() -> Any:
    x, w = gc.input("x", ("n", 4), "bfloat16"), gc.variable(np.eye(4), "w", "bfloat16")
    flags = gc.variable(np.array([True, False]), "flags")
    small = gc.variable(np.arange(3, dtype="uint8"), "small")
    return [x], [x @ w, gc.logical_not(flags), small + small], [X[:, :4]]


@form
def sizes_that_are_formulas() -> Any:
    x, y = gc.input("x", ("n",)), gc.input("y", ("n",))
    z = gc.concatenate([x, y, gc.constant(np.float32([7]))])
    w = gc.input("w", z.shape)
    return [x, y, w], [z * w, gc.mean(x)], [np.float32([1, 2]), np.float32([3, 4]), np.arange(5, dtype="float32")]


@form
def a_size_that_jax_calls_a_function() -> Any:
    x = gc.input("x", ("max", "mod"))
    return [x], gc.sum(x, axis=0), [X]


@form
def a_convolution_and_a_pool() -> Any:
    x, k = gc.input("x", ("n", 8, 8, 2)), gc.variable(RNG.standard_normal((3, 3, 2, 4)), "k", "float32")
    y = gc.max_pool(gc.conv(x, k), (2, 2))
    return [x], [gc.mean(y, axis=0), gc.grad(gc.sum(y), k)], [RNG.standard_normal((3, 8, 8, 2)).astype("float32")]


@form
def indices_and_sorting() -> Any:
    x, i = gc.input("x", ("n", 4)), gc.input("i", ("m",), "int64")
    return [x, i], [gc.take(x, i, axis=0), gc.sort(x, axis=0)], [X[:, :4], np.array([2, 0, 1])]


@form
def without_inputs() -> Any:
    v = gc.variable(np.arange(3.0), "v", "float64")
    return [], v * 2.0, []


@pytest.mark.parametrize("name", FORMS)
def test_many_graphs_have_a_portable_form(name: str, tmp_path: Path) -> None:
    inputs, outputs, given = FORMS[name]()
    function = gc.compile(inputs, outputs, backend="jax")
    function.save(tmp_path / "f")
    found, expected = gc.load(tmp_path / "f")(*given), gc.compile(inputs, outputs)(*given)
    for one, other in zip(jax.tree_util.tree_leaves(found), jax.tree_util.tree_leaves(expected), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(np.asarray(one).astype(complex), np.asarray(other).astype(complex), rtol=1e-5, atol=1e-5)


def test_a_size_may_be_fixed(tmp_path: Path) -> None:
    x = gc.input("x", ("n", "m"))
    f = gc.compile(x, [gc.mean(x, axis=0), x[::2]], backend="jax")
    f.save(tmp_path / "f", sizes={"n": 12})
    loaded = gc.load(tmp_path / "f")
    assert str(loaded.inputs[0].type) == "f32[12, m]"
    np.testing.assert_array_equal(loaded(X)[1], X[::2])
    with pytest.raises(ShapeError):
        loaded(X[:3])
    for wrong in ({"k": 3}, {"n": -1}, {"n": 2.5}, {"n": True}):
        with pytest.raises(ArgumentError, match="sizes="):
            f.save(tmp_path / "g", sizes=wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "g").exists()


def test_layers_on_a_mesh_or_with_checks_are_saved_as_one_device_runs_them(tmp_path: Path) -> None:
    for number, backend in enumerate((gc.Jax(check=True), gc.Jax(mesh={"data": 1}, axes={"batch": "data"}), gc.Jax(precision="highest"))):
        step = small(backend)
        step.save(tmp_path / f"{number}", platforms=["cpu"])
        np.testing.assert_allclose(gc.load(tmp_path / f"{number}")(X), step(X), rtol=1e-6)


def test_many_equal_layers_keep_their_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LEAST": 3, "LEAST_CALLED": 3, "COMPILED_LOOP": 0.0, "CALLS": 0}.items():
        monkeypatch.setattr(rolling, name, value)
    x = gc.input("x", ("batch", 4))
    weights = [gc.variable(np.eye(4) * (1 + i / 100), f"w{i}", "float32") for i in range(8)]
    y = x
    for w in weights:
        y = gc.tanh(y @ w)
    loss = gc.mean(gc.square(y))
    updates = {w: w - 0.1 * g for w, g in zip(weights, gc.grad(loss, weights), strict=True)}
    step = gc.compile(x, loss, updates, backend="jax")
    assert any(isinstance(one, rolling.Loop) for one in step.report.program.schedule.steps)
    step(X[:, :4])
    step.save(tmp_path / "f", platforms="cpu")
    loaded = gc.load(tmp_path / "f")
    assert sorted(str(v.label) for v in loaded.variables) == sorted(str(w.label) for w in weights)
    np.testing.assert_allclose(loaded(X[:, :4]), step(X[:, :4]), rtol=1e-5)
    by_name = {v.label: v.value for v in loaded.variables}
    for w in weights:
        np.testing.assert_allclose(by_name[w.label], w.value, rtol=1e-5, atol=1e-7)


# ---------------------------------------------------------------- what cannot be saved
def test_what_cannot_be_saved_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = gc.input("x", ("n",))
    guarded = gc.compile(x, gc.grad(gc.sum(gc.abs(x)), x, kinks="raise"), backend="jax")
    with pytest.raises(ExportError, match="kinks="):
        guarded.save(tmp_path / "f")
    with pytest.raises(ArgumentError, match="platforms="):
        training().save(tmp_path / "f", platforms=["abacus"])
    with pytest.raises(ArgumentError, match="platforms="):
        training().save(tmp_path / "f", platforms=[])
    keyed = gc.compile(x, {(1, 2): x}, backend="jax")
    with pytest.raises(ExportError, match=r"\(1, 2\)"):
        keyed.save(tmp_path / "f")
    with pytest.raises(ExportError, match="cannot be saved to"):
        training().save(tmp_path / "nowhere" / "f", platforms="cpu")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    with pytest.raises(BackendError, match="flatbuffers") as error:
        training().save(tmp_path / "f")
    assert 'pip install "graphc[jax]"' in str(error.value)


def test_a_size_that_has_to_be_a_number_is_told(tmp_path: Path) -> None:
    x = gc.input("x", ("n", 2))
    halves = gc.compile(x, x[::2], backend="jax")
    with pytest.raises(ExportError, match="sizes="):
        halves.save(tmp_path / "f")


# ---------------------------------------------------------------- bad files
@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training().save(tmp_path_factory.mktemp("good") / "f")


def fails(path: Path, match: str) -> None:
    with pytest.raises(ExportError, match=match) as error:
        gc.load(path)
    assert "fits" in str(error.value)


def test_no_file_of_a_function(tmp_path: Path) -> None:
    fails(tmp_path / "absent", "no function can be read")
    fails(tmp_path, "no function can be read")
    for content in (b"", b"hello", b"\xff" * 64, b"\0" * 1000, (2**63).to_bytes(8, "little") + b"{}", b"PK\x03\x04" + bytes(100)):
        (tmp_path / "f").write_bytes(content)
        fails(tmp_path / "f", "is no file of a function")
    (tmp_path / "f").write_bytes(save_arrays({"w": X}))
    fails(tmp_path / "f", "holds no function")


def test_every_damage_is_noticed(good: Path, tmp_path: Path) -> None:
    content = good.read_bytes()
    damaged = tmp_path / "f"
    for length in (0, 7, 8, 100, len(content) // 2, len(content) - 1):
        damaged.write_bytes(content[:length])
        fails(damaged, "f is ")
    damaged.write_bytes(content + b"\0")
    fails(damaged, "f is ")
    for place in np.random.default_rng(1).integers(0, len(content), 200):
        changed = bytearray(content)
        changed[place] ^= 1 << int(place) % 8
        damaged.write_bytes(bytes(changed))
        with pytest.raises(ExportError):
            gc.load(damaged)


def remade(good: Path, target: Path, change: Callable[[dict[str, Any], dict[str, str], dict[str, np.ndarray]], None]) -> Path:
    """The file with something changed and a digest that fits: what a hostile author would write."""
    content = good.read_bytes()
    told = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    arrays = load_arrays(content)
    record = json.loads(told["record"])
    told.pop("digest")
    change(record, told, arrays)
    told["record"] = told["record"] if told["record"] == "[" * 100_000 else json.dumps(record)
    digest = _digest(told, {name: array.tobytes() for name, array in arrays.items()})
    target.write_bytes(save_arrays(arrays, {**told, "digest": digest}))
    return target


def changed(**parts: Any) -> Callable[..., None]:
    def change(record: dict[str, Any], told: dict[str, str], arrays: dict[str, np.ndarray]) -> None:
        record.update(parts)

    return change


LEAF = {"label": "x", "shape": [3], "dtype": "float32"}
RECORDS: dict[str, dict[str, Any]] = {
    "a structure that is not there": {"structure": "pickle"},
    "one output of many": {"structure": "one", "outputs": [LEAF, LEAF]},
    "no list": {"inputs": 3},
    "no leaf": {"inputs": [3]},
    "a dtype that is not there": {"inputs": [{**LEAF, "dtype": "object"}]},
    "a negative size": {"inputs": [{**LEAF, "shape": [-3]}]},
    "a size beyond memory": {"inputs": [{**LEAF, "shape": [1 << 70]}]},
    "a size with a name that runs": {"inputs": [{**LEAF, "shape": [[[["__import__('os')"], 1]]]}]},
    "sizes that are truth values": {"inputs": [{**LEAF, "shape": [True]}]},
    "a label that is a list": {"inputs": [{**LEAF, "label": [1]}]},
    "an update of nothing": {"updates": [17]},
    "an update twice": {"updates": [0, 0, 1]},
    "an update that is a truth value": {"updates": [True, 1, 2]},
    "names that no input has": {"names": ["n"]},
    "a name twice": {"names": ["batch", "batch"]},
    "wide as a word": {"wide": "yes"},
}


@pytest.mark.parametrize("parts", RECORDS.values(), ids=RECORDS)
def test_a_record_that_makes_no_sense(good: Path, tmp_path: Path, parts: dict[str, Any]) -> None:
    with pytest.raises(ExportError, match="does not say what its function is called with"):
        gc.load(remade(good, tmp_path / "f", changed(**parts)))


def test_a_record_that_another_program_would_have(good: Path, tmp_path: Path) -> None:
    for parts in (
        {"inputs": [{"label": "x", "shape": [3], "dtype": "float32"}], "names": []},
        {"updates": [0, 1]},
        {"outputs": [{"label": "y", "shape": [3], "dtype": "float32"}]},
    ):
        fails(remade(good, tmp_path / "f", changed(**parts)), "not the one that its record describes")


def test_parts_that_do_not_fit(good: Path, tmp_path: Path) -> None:
    def lengthen(record: Any, told: Any, arrays: Any) -> None:
        arrays["variable.0"] = np.zeros(99, "float32")

    def drop(record: Any, told: Any, arrays: Any) -> None:
        del arrays["variable.0"]

    def huge(record: Any, told: Any, arrays: Any) -> None:
        record["variables"][0]["shape"] = [1 << 40, 1 << 20]

    def deep(record: Any, told: Any, arrays: Any) -> None:
        told["record"] = "[" * 100_000

    def newer(record: Any, told: Any, arrays: Any) -> None:
        told["format"], told["graphc"] = str(FORMAT + 1), "99.0"

    def rubbish(record: Any, told: Any, arrays: Any) -> None:
        arrays["program"] = RNG.integers(0, 256, 5000).astype("uint8")

    for change, told in (
        (lengthen, "has 396 bytes"),
        (drop, "does not have the parts"),
        (huge, "bytes"),
        (newer, "has format 2"),
        (rubbish, "does not read the program"),
    ):
        fails(remade(good, tmp_path / "f", change), told)
    with pytest.raises(ExportError, match="does not say"):
        gc.load(remade(good, tmp_path / "f", deep))
    with pytest.raises(ExportError, match=r"99\.0"):
        gc.load(remade(good, tmp_path / "f", newer))


def test_a_program_that_does_more_than_compute_is_not_run(tmp_path: Path) -> None:
    """What JAX itself would export if it was told not to look: here, a call of another kernel of its library."""
    export, a = jax.export, gc.input("a", (3, 3))
    function = gc.compile(a, gc.sum(a), backend="jax")
    record, *_ = read(function.save(tmp_path / "f", platforms="cpu"))

    def hostile(a: Any) -> Any:
        return [jax.ffi.ffi_call("xla_ffi_python_cpu_callback", jax.ShapeDtypeStruct((), "float32"))(a, index=np.int64(1))], [], []

    allowed = [export.DisabledSafetyCheck.custom_call("xla_ffi_python_cpu_callback")]
    made = export.export(jax.jit(hostile), platforms=["cpu"], disabled_checks=allowed)(jax.ShapeDtypeStruct((3, 3), "float32"))
    write(tmp_path / "hostile", record, bytes(made.serialize()), [], {"jax": "1", "graphc": "1", "platforms": "cpu"})
    fails(tmp_path / "hostile", "does more than compute")


def test_a_program_for_another_platform_is_told(tmp_path: Path) -> None:
    if jax.default_backend() != "cpu":
        pytest.skip("JAX runs on an accelerator")
    x = gc.input("x", (3,))
    gc.compile(x, x + 1.0, backend="jax").save(tmp_path / "f", platforms="tpu")
    fails(tmp_path / "f", "saved for tpu")
