"""Weights in safetensors files: whole or not at all, and loaded only where they fit."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import graphc as gc
from graphc.nn import WeightsError, load_weights, save_weights


def variables(fill: float = 0.0) -> list[gc.Variable]:
    return [gc.variable(np.full((2, 3), fill, "float32"), "kernel"), gc.variable(np.full(3, fill, "float32"), "bias")]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16", "int32", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4)])
def test_what_is_saved_is_loaded(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    value = gc.variable(np.random.default_rng(0).integers(0, 2, shape), "v", dtype=dtype)
    empty = gc.variable(np.zeros(shape), "v", dtype=dtype)
    load_weights(save_weights(tmp_path / "w.safetensors", [value]), [empty])
    assert empty.value.dtype == value.value.dtype
    np.testing.assert_array_equal(empty.value, value.value)


def test_others_can_read_the_file(tmp_path: Path) -> None:
    path = save_weights(tmp_path / "w.safetensors", variables(1.5))
    read = load_file(path)
    assert {name: array.shape for name, array in read.items()} == {"kernel": (2, 3), "bias": (3,)}
    assert all((array == 1.5).all() for array in read.values())


def test_a_transposed_value_keeps_its_places(tmp_path: Path) -> None:
    value = gc.variable(np.zeros((3, 2), "float32"), "v")
    value.storage = np.asfortranarray(np.arange(6, dtype="float32").reshape(3, 2))
    np.testing.assert_array_equal(load_file(save_weights(tmp_path / "w", [value]))["v"], [[0, 1], [2, 3], [4, 5]])


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    one, other = (save_weights(tmp_path / name, variables(2.0)).read_bytes() for name in ("a", "b"))
    assert one == other


def test_values_on_a_device_are_saved(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    w = gc.variable(np.ones(3, "float32"), "w")
    gc.compile([], [], updates={w: w + 1}, backend="jax")()
    np.testing.assert_array_equal(load_file(save_weights(tmp_path / "w", [w]))["w"], [2, 2, 2])


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_keeps_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = save_weights(tmp_path / "w.safetensors", variables(1.0))

    def full(*_args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full) if call == "fsync" else monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(WeightsError, match="No space left") as caught:
        save_weights(path, variables(2.0))
    assert "as it was" in str(caught.value)
    assert os.listdir(tmp_path) == ["w.safetensors"]
    assert (load_file(path)["bias"] == 1.0).all()


def test_ctrl_c_while_saving_leaves_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_file: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_weights(tmp_path / "w.safetensors", variables())
    assert not os.listdir(tmp_path)


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        save_weights(tmp_path / "no" / "w.safetensors", variables())


@pytest.mark.parametrize("name", [None, "", "kernel"])
def test_every_variable_needs_a_name_of_its_own(tmp_path: Path, name: str | None) -> None:
    named = [*variables(), gc.variable(np.zeros(2, "float32"), name)]
    with pytest.raises(WeightsError, match="name"):
        save_weights(tmp_path / "w", named)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({"kernel": np.ones((2, 3), "f4")}, "bias: not in the file"),
        (
            {"kernel": np.ones((2, 3), "f4"), "bias": np.ones(3, "f4"), "b2": np.ones(1, "f4")},
            "b2: in the file, and not among the variables",
        ),
        ({"kernel": np.ones((3, 2), "f4"), "bias": np.ones(3, "f4")}, r"kernel: float32\[3, 2\] in the file, float32\[2, 3\] the variable"),
        ({"kernel": np.ones((2, 3), "f8"), "bias": np.ones(3, "f4")}, r"kernel: float64\[2, 3\] in the file, float32\[2, 3\] the variable"),
    ],
)
def test_weights_of_another_network_are_refused_whole(tmp_path: Path, held: dict[str, Any], told: str) -> None:
    save_file(held, tmp_path / "w")
    mine = variables(7.0)
    with pytest.raises(WeightsError, match=told):
        load_weights(tmp_path / "w", mine)
    assert all((variable.value == 7).all() for variable in mine)


@pytest.mark.parametrize("content", [b"", b"not weights", b"\xff" * 64])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(WeightsError, match="no whole safetensors file"):
        load_weights(tmp_path / "w", variables())


def test_half_a_file_is_refused(tmp_path: Path) -> None:
    path = save_weights(tmp_path / "w", variables())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="no whole safetensors file"):
        load_weights(path, variables())


def test_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        load_weights(tmp_path / "w", variables())
