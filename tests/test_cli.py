"""The command line as a process, the way a user has it, and the few ends that only a patched process reaches."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import cli
from graphc.nn import book, job

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "graphc"]
# Not preexec_fn, which forks; that is not to be done beside JAX's threads.
AFTER = [sys.executable, "-c", "import runpy, sys; exec(sys.argv.pop(1)); runpy.run_module('graphc', run_name='__main__')"]
# A shell that starts tests in the background lets them, and their children, ignore Ctrl-C.
HEAR_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
SMALL_FILES = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
WEIGHTS = Path("out/digits/weights.safetensors")
Graphc = Callable[..., subprocess.CompletedProcess[str]]

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **more}


@pytest.fixture
def graphc(tmp_path: Path) -> Graphc:
    """Runs the command in an empty folder."""

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=240, check=False, **options
        )

    return run


def load(path: Path) -> None:
    """Raises an error unless the file has whole weights of the network for digits."""
    book.network(64).load_weights(path)


def test_version(graphc: Graphc) -> None:
    done = graphc("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"graphc {gc.__version__}\n", "")


def test_help_names_every_option(graphc: Graphc) -> None:
    done = graphc("train", "--help")
    assert done.returncode == 0
    for option in ("--dataset", "--epochs", "--batch-size", "--backend", "--data", "--seed", "--out"):
        assert option in done.stdout


def test_the_parser_imports_nothing_slow() -> None:
    program = "import sys, graphc.cli; graphc.cli._parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True, timeout=60, check=True)
    assert not {"graphc.nn", "rich", "safetensors", "jax", "sklearn", "graphviz", "sympy"} & set(done.stdout.split())


@pytest.mark.slow
def test_digits_from_end_to_end(graphc: Graphc, tmp_path: Path) -> None:
    done = graphc("train", "digits")
    assert done.returncode == 0, done.stderr
    table = [row.split() for row in done.stdout.splitlines()]
    losses = [float(row[1]) for row in table if len(row) == 3 and row[0] in set("12345")]
    assert len(losses) == 5
    assert losses == sorted(losses, reverse=True)
    (test,) = [row for row in table if row[:1] == ["test"]]
    assert float(test[2]) > 0.8
    assert "notes" not in done.stdout  # the figures of the notes are MNIST's
    assert [line[:9] for line in done.stderr.splitlines()] == [f"epoch {number}/5" for number in range(1, 6)]  # in a pipe
    assert "\x1b" not in done.stderr + done.stdout
    assert sorted(os.listdir(tmp_path / "out/digits")) == ["backprop.svg", "weights.safetensors"]
    assert (tmp_path / "out/digits/backprop.svg").read_text(encoding="utf-8").rstrip().endswith("</svg>")
    load(tmp_path / WEIGHTS)


@pytest.mark.slow
def test_a_seed_gives_the_same_bits(graphc: Graphc, tmp_path: Path) -> None:
    for out, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert graphc("train", "digits", "--epochs", "2", "--seed", seed, "--out", out).returncode == 0
    one, again, other = ((tmp_path / out / "weights.safetensors").read_bytes() for out in "abc")
    assert one == again
    assert one != other


@pytest.mark.slow
def test_jax_computes_the_same(graphc: Graphc) -> None:
    pytest.importorskip("jax")
    tables = []
    for backend in ("numpy", "jax"):
        done = graphc("train", "--dataset", "digits", "--epochs", "2", "--backend", backend)
        assert done.returncode == 0, done.stderr
        tables.append([float(word) for row in done.stdout.splitlines()[3:6] for word in row.split()[1:]])
    np.testing.assert_allclose(*tables, atol=0.01)


def test_the_option_wins_over_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[job.Job] = []
    monkeypatch.setattr("graphc.nn.run", jobs.append)
    assert cli.main(["train", "mnist", "--dataset", "digits"]) == 0  # what the advice in "no copy of MNIST was found" leads to
    assert cli.main(["train"]) == 0
    assert jobs == [job.Job("digits", Path("out/digits")), job.Job("mnist", Path("out/mnist"))]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "command"),
        (["trian"], "invalid choice: 'trian'"),
        (["train", "mnst"], "no data set 'mnst'; is 'mnist' meant? (fits: mnist, digits)"),
        (["train", "--dataset", "Digit"], "is 'digits' meant?"),
        (["train", "--epochs", "0"], "--epochs: '0' is out of range (fits: a whole number from 1)"),
        (["train", "--epochs", "-1"], "--epochs: '-1' is out of range"),
        (["train", "--epochs", "many"], "--epochs: 'many'"),
        (["train", "--batch-size", "0"], "--batch-size: '0'"),
        (["train", "--seed", "-1"], "--seed: '-1'"),
        (["train", "--backend", "cuda"], "invalid choice: 'cuda'"),
        (["train", "digits", "--data", "here"], "--data here: digits needs no folder"),
    ],
)
def test_a_call_that_makes_no_sense_is_2(capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert told in capsys.readouterr().err


def test_no_data_is_an_error_without_a_traceback(graphc: Graphc) -> None:
    done = graphc("train", "mnist", "--data", "nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("graphc: no MNIST in --data nowhere\n")
    assert "Traceback" not in done.stderr


def test_out_that_is_a_file_is_said_before_training(graphc: Graphc, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    for out in ("taken", "taken/below"):
        done = graphc("train", "digits", "--out", out)
        assert done.returncode == 1
        assert done.stderr.startswith(f"graphc: nothing can be saved in --out {out}\n")
        assert "epoch" not in done.stderr
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_folder_in_the_place_of_the_weights(graphc: Graphc, tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).mkdir(parents=True)
    done = graphc("train", "digits")
    assert done.returncode == 1
    assert "that is a folder" in done.stderr
    assert "epoch" not in done.stderr


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="nothing is unwritable for root")
def test_an_unwritable_out(graphc: Graphc, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    done = graphc("train", "digits", "--out", "locked")
    assert done.returncode == 1
    assert "Permission denied" in done.stderr


@posix
def test_a_full_disk_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    command = [*AFTER, SMALL_FILES, "train", "digits"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 1
    assert f"the weights cannot be saved to {WEIGHTS}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not os.listdir(tmp_path / "out/digits")


def test_a_disk_that_fills_up_keeps_the_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[int] = []

    def fills_up(file: int) -> None:
        calls.append(file)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fills_up)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "digits"]) == 1
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert "epoch 3/5" in said
    assert "epoch 4/5" not in said
    load(WEIGHTS)


def test_a_picture_that_fails_loses_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*_args: Any, **_options: Any) -> None:
        raise gc.errors.DrawError("no picture")

    monkeypatch.setattr(gc, "draw", fails, raising=False)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "digits", "--epochs", "1"]) == 1
    said = capsys.readouterr()
    assert said.err.endswith("graphc: no picture\n")
    assert f"saved {WEIGHTS}" in said.out
    load(WEIGHTS)


def test_ctrl_c_before_the_first_epoch_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_args: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gc.nn.Model, "fit", interrupt)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "digits"]) == 130
    assert capsys.readouterr().err == "graphc: interrupted before the end of the first epoch: nothing was saved\n"
    assert not os.listdir(tmp_path / "out/digits")


def endless(folder: Path) -> subprocess.Popen[str]:
    command, pipe = [*AFTER, HEAR_CTRL_C, "train", "digits", "--epochs", "1000000"], subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment(), text=True, stdout=pipe, stderr=pipe)


def stopped_in_epoch(process: subprocess.Popen[str], number: int, how: int) -> tuple[int, str]:
    assert process.stderr is not None
    read = [process.stderr.readline() for _line in range(number)]
    assert read[-1].startswith("epoch"), read
    process.send_signal(how)
    said = process.communicate(timeout=60)[1]
    return process.returncode, said


@posix
def test_ctrl_c_keeps_the_last_whole_epoch(tmp_path: Path) -> None:
    code, said = stopped_in_epoch(endless(tmp_path), 3, signal.SIGINT)
    assert code == 130
    last = said.splitlines()[-1]
    assert last.startswith(f"graphc: interrupted: {WEIGHTS} has the weights after epoch ")
    assert "Traceback" not in said
    assert os.listdir(tmp_path / "out/digits") == ["weights.safetensors"]
    load(tmp_path / WEIGHTS)


@posix
def test_kill_keeps_the_last_whole_epoch(tmp_path: Path) -> None:
    code, _said = stopped_in_epoch(endless(tmp_path), 3, signal.SIGKILL)
    assert code == -signal.SIGKILL
    load(tmp_path / WEIGHTS)


@posix
def test_a_terminal_gets_a_bar(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "train", "digits", "--epochs", "3"],
        cwd=tmp_path,
        env=environment(TERM="xterm"),
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        said = _read_all(ours).decode()
    assert process.returncode == 0, said
    assert "\x1b[?25l" in said
    assert said.rindex("\x1b[?25h") > said.rindex("\x1b[?25l")
    assert "epoch 3/3  loss" in said


def _read_all(terminal: int) -> bytes:
    said = b""
    try:
        while chunk := os.read(terminal, 4096):
            said += chunk
    except OSError:  # Linux's way to say that the other side is closed
        pass
    finally:
        os.close(terminal)
    return said


@posix
def test_a_reader_that_leaves_is_no_traceback(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "train", "digits", "--epochs", "1"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "Exception ignored" not in said
