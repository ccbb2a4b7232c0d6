"""``graphc bench``: what it says is there and consistent; no time is compared with another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import bench, cli
from graphc.core.errors import ArgumentError

ROOT = Path(__file__).parents[1]
SCRIPT = """
import graphc as gc
print_nothing = __name__ == "__main__" and 1 / 0
x, t = gc.input("x", ("batch", 3)), gc.input("t", ("batch",), dtype="int32")
total = gc.variable(gc.init.zeros((3,)), "total")
step = gc.compile([x, t], {"loss": gc.mean(gc.sparse_categorical_crossentropy(t, x, from_logits=True))}, {total: total + gc.sum(x, axis=0)})
double = gc.compile(x, 2.0 * x)
"""


@pytest.fixture(autouse=True)
def known_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "measured_peaks", lambda: bench.Peaks(1e11, 1e10))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(SCRIPT)
    return path


def test_the_books_network_on_each_batch_and_backend(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--seconds", "0.01", "--batch-size", "1,32", "--backend", "numpy"]) == 0
    said = capsys.readouterr().out
    rows = [line.split() for line in said.splitlines() if line.startswith("step")]
    assert [row[1:3] for row in rows] == [["numpy", "1"], ["numpy", "32"]]
    for word in ("peaks: 100 GFLOP/s", "rows/s", "of peak", "first call ms", "peak MiB", "buffers MiB"):
        assert word in said


def test_json_holds_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("jax")
    assert cli.main(["bench", "--seconds", "0.01", "--batch-size", "8", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["peaks"] == {"flops": 1e11, "bandwidth": 1e10}
    assert [timing["backend"] for timing in found["timings"]] == ["numpy", "jax"]
    for timing in found["timings"]:
        assert timing["sizes"] == {"batch": 8}
        assert 0 < timing["fastest"] <= timing["median"]
        assert timing["calls"] >= 3
        assert timing["flops"] > 2 * 8 * 784 * 512
        assert timing["passes"]


def test_a_script(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", str(script), "--size", "batch=7", "--seconds", "0.01"]) == 0
    said = capsys.readouterr().out
    assert [line.split()[:3] for line in said.splitlines() if line.startswith(("step ", "double "))] == [
        ["step", "numpy", "7"],
        ["double", "numpy", "7"],
    ]
    assert "step, ms: " in said


def test_one_function_of_a_script(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", f"{script}:double", "--size", "batch=7", "--seconds", "0.01", "--json"]) == 0
    (timing,) = json.loads(capsys.readouterr().out)["timings"]
    assert timing["name"] == "double"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.py"], "there is no file nowhere.py"),
        (["{}:nothing"], "defines no compiled function nothing"),
        (["{}"], "the sizes given are none"),
        (["{}", "--size", "batch=7", "--size", "rows=3"], "fits: --size batch=N"),
    ],
)
def test_what_does_not_fit_is_told(script: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", *[argument.format(script) for argument in arguments]]) == 1
    said = capsys.readouterr()
    assert told in said.err
    assert not said.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--size", "batch=3"],
        ["model.py", "--batch-size", "3"],
        ["model.py", "--backend", "jax"],
        ["model.py", "--size", "batch"],
        ["model.py", "--size", "batch=-1"],
        ["--backend", "cuda"],
        ["--batch-size", "0"],
        ["--batch-size", "1,"],
        ["--seconds", "0"],
        ["--seconds", "nan"],
        ["--seconds", "soon"],
    ],
)
def test_a_call_that_makes_no_sense_is_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["bench", *arguments])
    assert stop.value.code == 2


def test_help_tells_the_batches_that_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["bench", "--help"])
    assert f"({','.join(map(str, bench.BATCHES))})" in capsys.readouterr().out


def test_a_backend_that_is_absent_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)
    assert cli.main(["bench", "--seconds", "0.01", "--batch-size", "1"]) == 0
    assert "skipped jax: backend='jax' needs JAX" in capsys.readouterr().out
    assert cli.main(["bench", "--seconds", "0.01", "--batch-size", "1", "--backend", "jax"]) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool", "complex64", "uint8"])
def test_values_are_made_up_for_every_dtype(dtype: str) -> None:
    x = gc.input("x", ("n", "m", 2), dtype=dtype)
    (value,) = bench.made_up(gc.compile(x, x), {"n": 3, "m": 0})
    assert (value.shape, value.dtype) == ((3, 0, 2), np.dtype(dtype))
    with pytest.raises(ArgumentError, match="sizes given are n"):
        bench.made_up(gc.compile(x, x), {"n": 3})


def test_ctrl_c_says_what_there_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    measure = bench.timed

    def interrupted(function: Any, name: str, known: Any, *more: Any) -> bench.Timing:
        if known["batch"] == 2:
            raise KeyboardInterrupt
        return measure(function, name, known, *more)

    monkeypatch.setattr(bench, "timed", interrupted)
    assert cli.main(["bench", "--seconds", "0.01", "--batch-size", "1,2,3", "--backend", "numpy"]) == 130
    said = capsys.readouterr()
    assert len([line for line in said.out.splitlines() if line.startswith("step")]) == 1
    assert said.err == "graphc: interrupted\n"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_in_a_process_is_no_traceback(script: Path) -> None:
    hear = "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program = hear + "sys.argv[0] = 'graphc'; runpy.run_module('graphc', run_name='__main__')"
    # numpy.random is there before, since its import forgets a KeyboardInterrupt that comes in the middle.
    script.write_text(SCRIPT + 'import numpy.random; print("ready", flush=True)')
    command = [sys.executable, "-c", program, "bench", str(script), "--size", "batch=7", "--seconds", "60"]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert b"Traceback" not in said
