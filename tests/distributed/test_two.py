"""Two processes on loopback, joined by gloo: started with an address, and found out by JAX from Slurm's variables."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import graphc as gc
from graphc.core.errors import ArgumentError

HERE = Path(__file__).parent


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def environment(devices: int) -> dict[str, str]:
    flags = f"--xla_force_host_platform_device_count={devices} --xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0"
    return os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(HERE.parents[1])}


def both(program: Path, devices: int, arguments: list[list[str]], variables: list[dict[str, str]]) -> list[list[str]]:
    """The lines that the two processes print, and lines of gloo's, which several threads write."""
    pipe, command = subprocess.PIPE, [sys.executable, "-W", "error", str(program)]
    started = [
        subprocess.Popen([*command, *more], env=environment(devices) | own, stdout=pipe, stderr=pipe, text=True)
        for more, own in zip(arguments, variables, strict=True)
    ]
    try:
        said = [process.communicate(timeout=120) for process in started]
    finally:
        for process in started:
            process.kill()
    for process, (_, errors) in zip(started, said, strict=True):
        assert process.returncode == 0, errors
    return [printed.splitlines() for printed, _ in said]


def test_two_processes_with_two_devices_each() -> None:
    coordinator = f"127.0.0.1:{free_port()}"
    printed = both(HERE / "two.py", 2, [[coordinator, "0"], [coordinator, "1"]], [{}, {}])
    first, second = [json.loads(next(line for line in lines if line.startswith("{"))) for lines in printed]
    own = second["errors"][1].replace("batch = 66", "batch = 64")  # each tells its own sizes
    assert first == second | {"errors": [second["errors"][0], own, *second["errors"][2:]]}
    refusals = first.pop("errors")
    alone = first.pop("alone")
    assert first.pop("total") == 12
    for losses, weights in first.values():
        assert losses == pytest.approx(alone, rel=2e-6)
        assert weights == pytest.approx(first["data"][1], rel=1e-5)
    expected = [
        "batch = 126 over all processes is not divided by the 4 devices of 'data'",
        "the processes feed values of different sizes",
        "the processes begin with different values of variables",
        "mesh: processes do not cut the axis 'data' evenly",
        "this process has joined the others already",
        "the size 2*batch is made of one that is spread over processes",
    ]
    assert len(refusals) == len(expected)
    for refusal, text in zip(refusals, expected, strict=True):
        assert text in refusal


SCALE = HERE.parents[1] / "examples" / "scale.py"
SLURM = {"SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_NTASKS": "2", "SLURM_STEP_NUM_NODES": "1"}


def slurm(port: int) -> list[dict[str, str]]:
    return [SLURM | {"JAX_COORDINATOR_PORT": str(port), "SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)} for i in range(2)]


def kubernetes(port: int) -> list[dict[str, str]]:
    return [{"COORDINATOR": f"127.0.0.1:{port}", "PROCESSES": "2", "JOB_COMPLETION_INDEX": str(i)} for i in range(2)]


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """What the example prints in one process."""
    done = subprocess.run([sys.executable, str(SCALE)], env=environment(2), capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("variables", [slurm, kubernetes])
def test_the_example_under_slurm_and_kubernetes(variables: Callable[[int], list[dict[str, str]]], alone: list[str]) -> None:
    first, second = both(SCALE, 1, [["join"]] * 2, variables(free_port()))
    assert [line for line in first if line in alone] == alone
    assert not set(second) & set(alone)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"coordinator": "127.0.0.1:1"}, "all three, or none"),
        ({"coordinator": "127.0.0.1", "processes": 2, "index": 0}, "is no address"),
        ({"coordinator": "127.0.0.1:1", "processes": 2, "index": 2}, "index=2 of 2 processes"),
    ],
)
def test_arguments_that_make_no_sense(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        gc.distributed(**arguments)


_REFUSED = """
import graphc as gc
def join(*arguments):
    try:
        gc.distributed(*arguments, timeout=1)
    except gc.errors.BackendError as error:
        print(error)
join()
gc.compile([], gc.zeros(()), backend="jax")()
join("127.0.0.1:1", 2, 0)
"""


def test_no_cluster_and_too_late() -> None:
    """In a process of its own, where nothing has run on JAX yet."""
    clusters = ("SLURM_", "OMPI_", "KUBERNETES_", "JAX_COORDINATOR")
    alone = {name: value for name, value in environment(1).items() if not name.startswith(clusters)}
    done = subprocess.run([sys.executable, "-c", _REFUSED], env=alone, capture_output=True, text=True, timeout=120, check=True)
    first, _, later = done.stdout.partition("no arguments\n")
    assert "does not find out which processes there are" in first
    assert "fits: a call before all that runs on JAX" in later
