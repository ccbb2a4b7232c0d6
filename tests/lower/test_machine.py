"""The machine's constants: where they are kept, and what happens to files that make no sense. Nothing here measures for long."""

import json
import math
import os
import stat

import pytest

from graphc.core.errors import ArgumentError
from graphc.lower import calibration, machine
from graphc.lower.machine import REFERENCE, VARIABLE, Machine, MachineWarning, load, place, save


@pytest.fixture(autouse=True)
def _unknown(monkeypatch):
    """Each test reads the constants anew, and none leaves its own behind."""
    monkeypatch.setattr(machine, "_known", [])


def _content(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "new" / "machine.json"
    mine = REFERENCE._replace(call=1.5, root=(1.0, 3.0))
    save(mine, path)
    assert load(path) == mine
    assert [each.name for each in path.parent.iterdir()] == ["machine.json"]


def test_without_a_file_the_reference_holds_and_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.json"))
    assert machine.machine() is REFERENCE


def test_the_variable_names_the_file(tmp_path, monkeypatch):
    mine = REFERENCE._replace(near=1e4)
    save(mine, tmp_path / "mine.json")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine.json"))
    assert machine.machine() == mine
    (tmp_path / "mine.json").unlink()
    assert machine.machine() == mine  # read once a process


def test_the_place_is_in_the_cache_folder_and_depends_on_the_processor_and_numpy(tmp_path, monkeypatch):
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    monkeypatch.setattr(machine, "key", lambda: {"processor": "a", "numpy": "2.1"})
    first = place(environ)
    monkeypatch.setattr(machine, "key", lambda: {"processor": "a", "numpy": "2.2"})
    assert first is not None
    assert first != place(environ)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: "{", "Expecting"),
        (lambda content: "[" * 100_000, ""),
        (lambda content: "[]", "no JSON object"),
        (lambda content: content | {"version": 99}, "version"),
        (lambda content: content | {"key": {"processor": "another", "numpy": "1"}}, "another processor"),
        (lambda content: content | {"constants": {}}, "other constants"),
        (lambda content: content | {"constants": content["constants"] | {"call": -1}}, "call"),
        (lambda content: content | {"constants": content["constants"] | {"call": True}}, "call"),
        (lambda content: content | {"constants": content["constants"] | {"near": math.inf}}, "near"),
        (lambda content: content | {"constants": content["constants"] | {"root": [1]}}, "root"),
        (lambda content: content | {"constants": content["constants"] | {"root": 1}}, "root"),
    ],
)
def test_a_file_that_makes_no_sense_is_not_used_and_that_is_said(tmp_path, change, reason):
    path = tmp_path / "machine.json"
    save(REFERENCE, path)
    new = change(_content(path))
    path.write_text(new if isinstance(new, str) else json.dumps(new), encoding="utf-8")
    with pytest.warns(MachineWarning, match=f"not used: .*{reason}"):
        assert load(path) is REFERENCE


def test_bytes_that_are_no_text_and_a_folder_are_not_used_either(tmp_path):
    (tmp_path / "machine.json").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "machine.json", tmp_path):
        with pytest.warns(MachineWarning):
            assert load(path) is REFERENCE


def test_a_file_that_cannot_be_written_leaves_the_old_one_whole(tmp_path, monkeypatch):
    path = tmp_path / "machine.json"
    save(REFERENCE, path)

    def failing(*_):
        raise OSError("full")

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="full"):
        save(REFERENCE._replace(call=2.0), path)
    assert load(path) == REFERENCE
    assert [each.name for each in tmp_path.iterdir()] == ["machine.json"]


def test_calibrate_keeps_what_it_measures_and_uses_it(tmp_path, monkeypatch):
    mine = REFERENCE._replace(call=3.0)
    monkeypatch.setattr(calibration, "measure", lambda: mine)
    path = tmp_path / "machine.json"
    assert machine.calibrate(path) == mine
    assert machine.machine() == mine
    assert load(path) == mine
    assert not path.stat().st_mode & stat.S_IXUSR


def test_calibrate_says_where_it_could_not_write(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "measure", lambda: REFERENCE)
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match="cannot be written"):
        machine.calibrate(tmp_path / "file" / "machine.json")


def test_nothing_is_measured_unasked(monkeypatch, tmp_path):
    def measure():
        raise AssertionError("measured")

    monkeypatch.setattr(calibration, "measure", measure)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.json"))
    assert machine.machine() is REFERENCE


@pytest.mark.slow
def test_a_measurement_is_of_the_order_of_the_reference():
    found = calibration.measure()
    numbers = [n for value in found for n in (value if isinstance(value, tuple) else (value,))]
    wanted = [n for value in Machine() for n in (value if isinstance(value, tuple) else (value,))]
    assert all(1 / 100 < a / b < 100 for a, b in zip(numbers, wanted, strict=True))
