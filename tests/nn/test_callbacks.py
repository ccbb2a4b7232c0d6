"""Callbacks: what Keras's do, told by figures that are made up; files of theirs; and trainings that go on."""

from __future__ import annotations

import csv
import math
import random
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc import nn
from graphc.core.errors import ArgumentError
from graphc.nn import callbacks as ready
from graphc.nn import layers
from graphc.nn.callbacks.events import crc32c
from graphc.nn.callbacks.monitors import MonitorWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype("float32")
Y = X.sum(1, keepdims=True)


def compiled(rate: float = 0.01, **options: Any) -> Any:
    model = nn.Sequential([nn.Input((4,)), layers.Dense(3, activation="tanh"), layers.Dropout(0.2), layers.Dense(1)])
    model.compile(nn.optimizers.Adam(rate), "mse", metrics=["mae", nn.metrics.R2Score()], **options)
    return model


class Story:
    """Stands for a training: epochs with figures that are made up."""

    def __init__(self, callback: Any, model: Any = None) -> None:
        self.callback, self.model = callback, model or compiled()
        callback.set_model(self.model)

    def tell(self, figures: Sequence[dict[str, float]]) -> int:
        """Tell the epochs until the callback stops them; how many there were."""
        self.model.stop_training = False
        self.callback.on_train_begin(None)
        for epoch, logs in enumerate(figures):
            self.callback.on_epoch_begin(epoch, None)
            self.callback.on_epoch_end(epoch, dict(logs))
            if self.model.stop_training:
                break
        self.callback.on_train_end({})
        return epoch + 1


def losses(*values: float) -> list[dict[str, float]]:
    return [{"val_loss": value} for value in values]


# ---------------------------------------------------------------- figures that are looked at
STOPS: list[tuple[dict[str, Any], list[dict[str, float]], int]] = [
    ({}, losses(3, 2, 2, 1), 3),
    ({"patience": 2}, losses(3, 2, 2, 2, 1), 4),
    ({"patience": 2}, losses(3, 2, 2, 1, 1, 1), 6),
    ({"patience": 2, "min_delta": 0.5}, losses(3, 2.6, 2.4, 2.2, 2.0, 1.0), 5),
    ({"start_from_epoch": 2}, losses(1, 5, 4, 3, 3), 5),
    ({"baseline": 1.0, "patience": 2}, losses(3, 2.5, 2.2, 2.1, 2.0, 2.0), 6),
    ({"baseline": 1.0, "patience": 2}, losses(3, 3, 3), 2),
    ({"mode": "max"}, losses(1, 2, 1), 3),
    ({"monitor": "val_mae"}, [{"val_mae": 2.0}, {"val_mae": 1.0}, {"val_mae": 1.5}], 3),
    ({"monitor": "val_r2_score"}, [{"val_r2_score": 0.1}, {"val_r2_score": 0.5}, {"val_r2_score": 0.4}], 3),
    ({"patience": 0}, losses(3, math.nan, 1), 2),
    ({}, losses(2), 1),
]


@pytest.fixture(scope="module")
def met() -> Any:
    """A model that has met data, so that its metrics are known."""
    model = compiled()
    model.fit(X, Y, verbose=0)
    return model


@pytest.mark.parametrize(("options", "figures", "epochs"), STOPS)
def test_early_stopping_stops_after(options: dict[str, Any], figures: Any, epochs: int, met: Any) -> None:
    story = Story(ready.EarlyStopping(**options), met)
    assert story.tell(figures) == epochs
    assert story.tell(figures) == epochs, "it begins anew"


def test_early_stopping_gives_the_best_weights_back(met: Any, capsys: Any) -> None:
    callback = ready.EarlyStopping(patience=2, restore_best_weights=True, verbose=1)
    given = iter([5.0, 1.0, 2.0, 3.0])
    callback.set_model(met)
    callback.on_train_begin()
    for epoch in range(4):
        met.set_weights([np.full_like(w, epoch) for w in met.get_weights()])
        callback.on_epoch_end(epoch, {"val_loss": next(given)})
    callback.on_train_end()
    assert all((weight == 1).all() for weight in met.get_weights())
    assert "Epoch 4: early stopping" in capsys.readouterr().out
    met.stop_training = False


def test_figures_that_are_not_there_or_have_no_direction(met: Any) -> None:
    with pytest.warns(MonitorWarning, match="EarlyStopping: there is no 'val_loss' among loss"):
        Story(ready.EarlyStopping(), met).tell([{"loss": 1.0}])
    with pytest.raises(ArgumentError, match=r"whether 'val_other' is to become smaller[\s\S]*mode"):
        Story(ready.EarlyStopping("val_other"), met).tell([{"val_other": 1.0}])
    for make in (lambda: ready.EarlyStopping(mode="least"), lambda: ready.ReduceLROnPlateau(factor=1.0)):
        with pytest.raises(ArgumentError):
            make()


def test_the_rate_is_reduced_on_a_plateau(met: Any) -> None:
    met.optimizer.learning_rate = 1.0
    callback = ready.ReduceLROnPlateau(factor=0.5, patience=2, cooldown=1, min_lr=0.2, min_delta=0)
    rates: list[float] = []
    callback.set_model(met)
    callback.on_train_begin()
    for epoch, loss in enumerate([3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]):
        logs = {"val_loss": float(loss)}
        callback.on_epoch_end(epoch, logs)
        rates.append(logs["learning_rate"])
    # The figures have the rate of the epoch, before it is reduced. After a cooldown of one epoch two more are waited for.
    assert rates == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2]
    met.optimizer.learning_rate = 0.01


def test_a_schedule_of_one_argument_or_two(met: Any) -> None:
    model = compiled(rate=0.5)
    two = ready.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[two]).history
    assert history["learning_rate"] == [0.5, 0.25, 0.125]
    one = ready.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    assert model.fit(X, Y, epochs=2, verbose=0, callbacks=[one]).history["learning_rate"] == pytest.approx([0.1, 0.05], abs=0)
    with pytest.raises(ArgumentError, match="returned 1"):
        model.fit(X, Y, verbose=0, callbacks=[ready.LearningRateScheduler(lambda epoch: 1)])


def test_a_loss_that_is_nan_ends_the_training(capsys: Any) -> None:
    model = compiled()
    y = Y.copy()
    y[:] = np.nan
    with pytest.warns(nn.NonFiniteWarning):
        history = model.fit(X, y, batch_size=8, epochs=3, verbose=0, callbacks=[ready.TerminateOnNaN()])
    assert len(history.epoch) == 1
    assert model.optimizer.iterations == 1
    assert "Batch 0: Invalid loss, terminating training" in capsys.readouterr().out


def test_functions_for_hooks() -> None:
    heard: list[Any] = []
    callback = ready.LambdaCallback(
        on_epoch_end=lambda epoch, logs: heard.append((epoch, sorted(logs))),
        on_train_batch_end=lambda batch, logs: heard.append(batch),
        on_train_begin=None,
    )
    compiled().fit(X, Y, batch_size=20, epochs=1, verbose=0, callbacks=[callback])
    assert heard == [0, 1, (0, ["loss", "mae", "r2_score"])]
    with pytest.raises(ArgumentError, match="on_epoch_begin"):
        ready.LambdaCallback(on_epoch=print)


# ---------------------------------------------------------------- files
def test_figures_as_csv(tmp_path: Path) -> None:
    path, model = tmp_path / "log.csv", compiled()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[ready.CSVLogger(path, separator=";")])
    history = model.fit(X, Y, epochs=3, initial_epoch=2, verbose=0, callbacks=[ready.CSVLogger(path, ";", append=True)]).history
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert list(rows[0]) == ["epoch", "loss", "mae", "r2_score", "val_loss", "val_mae", "val_r2_score"]
    assert float(rows[2]["loss"]) == history["loss"][0]
    assert rows[0]["val_loss"] == "NA"


def test_checkpoints_by_name_and_by_batches(tmp_path: Path) -> None:
    model = compiled()
    options: dict[str, Any] = {"batch_size": 8, "epochs": 2, "verbose": 0, "validation_split": 0.2}
    by_epoch = ready.ModelCheckpoint(tmp_path / "a" / "{epoch:02d}-{val_loss:.2f}.graphc")
    by_batch = ready.ModelCheckpoint(tmp_path / "b" / "{epoch}.{batch}", save_freq=3, save_weights_only=True)
    history = model.fit(X, Y, callbacks=[by_epoch, by_batch], **options).history
    names = [f"{epoch:02d}-{loss:.2f}.graphc" for epoch, loss in enumerate(history["val_loss"], 1)]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == names
    # Four batches an epoch, counted on from epoch to epoch.
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["1.3", "2.2"]
    assert np.array_equal(nn.load_model(tmp_path / "a" / names[1])(X), model(X))
    with pytest.raises(ArgumentError, match=r"no 'other'[\s\S]*val_loss"):
        model.fit(X, Y, callbacks=[ready.ModelCheckpoint(tmp_path / "{other}")], **options)
    with pytest.raises(ArgumentError, match="save_freq"):
        ready.ModelCheckpoint("x", save_freq=0)
    unwritable = nn.Sequential([layers.Lambda(lambda x: x), layers.Dense(1)])
    unwritable.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match="Lambda"):
        unwritable.fit(X, Y, verbose=0, callbacks=[ready.ModelCheckpoint(tmp_path / "c")])
    assert not unwritable.built  # it is said before the first step
    unwritable.fit(X, Y, verbose=0, callbacks=[ready.ModelCheckpoint(tmp_path / "c", save_weights_only=True)])


def test_only_the_best_is_kept(tmp_path: Path, met: Any, capsys: Any) -> None:
    path = tmp_path / "best"
    written: list[bool] = []
    callback = ready.ModelCheckpoint(path, save_best_only=True, verbose=1, initial_value_threshold=2.5)
    callback.set_model(met)
    for epoch, loss in enumerate([3.0, 2.0, 2.0, 1.0]):
        path.unlink(missing_ok=True)
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"val_loss": loss})
        written.append(path.exists())
    assert written == [False, True, False, True]
    assert "Epoch 4: val_loss improved from 2.00000 to 1.00000, saving model to" in capsys.readouterr().out
    with pytest.warns(MonitorWarning, match="ModelCheckpoint"):
        callback.on_epoch_end(4, {})


# ---------------------------------------------------------------- trainings that go on
class Stop(nn.Callback):
    """Ends the program, as it were, after a batch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.place = (epoch, batch)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == self.place:
            raise KeyboardInterrupt


def callbacks(folder: Path, save_freq: Any) -> list[Any]:
    """Those with a state, in an order in which a file would not have it all if it were written in its turn."""
    return [
        ready.BackupAndRestore(folder, save_freq=save_freq),
        ready.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        ready.ReduceLROnPlateau("val_loss", 0.5, patience=1, min_delta=10.0),
        ready.EarlyStopping("val_loss", patience=4, min_delta=10.0, restore_best_weights=True),
    ]


@pytest.mark.parametrize("save_freq", ["epoch", 3])
def test_the_same_program_goes_on_where_it_was_ended(save_freq: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"batch_size": 8, "epochs": 9, "verbose": 0, "validation_split": 0.2}
    nn.set_random_seed(4)
    whole = compiled()
    history = whole.fit(X, Y, **options, callbacks=callbacks(tmp_path / "whole", save_freq)).history
    assert len(history["loss"]) == 5  # stopped early
    nn.set_random_seed(4)
    for place in ((0, 3), (1, 1), (2, 0), (4, 2)):
        broken = compiled()
        with pytest.raises(KeyboardInterrupt):
            broken.fit(X, Y, **options, callbacks=[*callbacks(tmp_path / "broken", save_freq), Stop(*place)])
        if (tmp_path / "broken").exists():
            random.seed(place[0])
        else:
            nn.set_random_seed(4)
    last = compiled()
    rest = last.fit(X, Y, **options, callbacks=callbacks(tmp_path / "broken", save_freq)).history
    assert rest == {name: values[-len(rest["loss"]) :] for name, values in history.items()}
    assert all(np.array_equal(a, b) for a, b in zip(whole.get_weights(), last.get_weights(), strict=True))
    assert not (tmp_path / "broken").exists()


def test_the_file_before_is_taken_if_the_latest_is_damaged(tmp_path: Path) -> None:
    def backup() -> Any:
        return ready.BackupAndRestore(tmp_path, double_checkpoint=True, delete_checkpoint=False)

    compiled().fit(X, Y, epochs=3, verbose=0, callbacks=[backup()])
    latest = tmp_path / "latest.safetensors"
    latest.write_bytes(latest.read_bytes()[:-8])
    assert compiled().fit(X, Y, epochs=4, verbose=0, callbacks=[backup()]).epoch == [2, 3]
    for path in tmp_path.iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(nn.WeightsError, match="no whole"):
        compiled().fit(X, Y, epochs=4, verbose=0, callbacks=[backup()])
    with pytest.raises(ArgumentError, match="backup_dir"):
        ready.BackupAndRestore("")


# ---------------------------------------------------------------- TensorBoard
def crc_by_bits(content: bytes) -> int:
    """CRC-32C by its definition: division of polynomials, a bit at a time."""
    crc = 0xFFFFFFFF
    for byte in content:
        for bit in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if (crc ^ byte >> bit) & 1 else 0)
    return crc ^ 0xFFFFFFFF


def fields(content: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message of protocol buffers, by its wire format."""

    def varint(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            value |= (content[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if content[at - 1] < 128:
                return value, at

    at = 0
    while at < len(content):
        key, at = varint(at)
        if key & 7 == 0:
            value, at = varint(at)
            yield key >> 3, value
        else:
            size, at = varint(at) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], at)
            yield key >> 3, content[at : at + size]
            at += size


def events(folder: Path) -> list[dict[int, Any]]:
    """The events of the files in a folder; checksums are checked."""
    found: list[dict[int, Any]] = []
    for path in folder.glob("*tfevents*"):
        content = path.read_bytes()
        while content:
            (size,) = struct.unpack("<Q", content[:8])
            parts = content[:8], content[12 : 12 + size]
            for part, at in zip(parts, (8, 12 + size), strict=True):
                crc = crc_by_bits(part)
                masked = ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF
                assert struct.unpack("<I", content[at : at + 4])[0] == masked
            found.append(dict(fields(parts[1])))
            content = content[16 + size :]
    return found


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The scalars by their tags."""
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events(folder):
        value = dict(fields(dict(fields(event[5]))[1])) if 5 in event else {}
        if 2 in value:
            found.setdefault(value[1].decode(), []).append((event[2], struct.unpack("<f", value[2])[0]))
    return found


def test_the_checksum() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of the CRC catalogues
    assert crc32c(b"\0" * 32) == 0x8A9136AA  # RFC 3720, B.4
    assert crc_by_bits(b"123456789") == 0xE3069283


def test_event_files(tmp_path: Path) -> None:
    model = compiled()
    callback = ready.TensorBoard(tmp_path, histogram_freq=1, update_freq=2, write_steps_per_second=True)
    history = model.fit(X, Y, batch_size=8, epochs=2, validation_split=0.2, verbose=0, callbacks=[callback]).history
    train, validation = curves(tmp_path / "train"), curves(tmp_path / "validation")
    assert train["epoch_loss"] == [(epoch, pytest.approx(loss, rel=1e-6)) for epoch, loss in enumerate(history["loss"])]
    assert validation["epoch_loss"] == [(epoch, pytest.approx(loss, rel=1e-6)) for epoch, loss in enumerate(history["val_loss"])]
    assert [step for step, _ in train["batch_mae"]] == [2, 4, 6, 8]
    assert [step for step, _ in validation["evaluation_loss_vs_iterations"]] == [4, 8]
    assert train["epoch_learning_rate"] == [(0, pytest.approx(0.01)), (1, pytest.approx(0.01))]
    assert train["epoch_steps_per_second"][0][1] > 0
    written = events(tmp_path / "train")
    assert written[0][3] == b"brain.Event:2"
    nodes = [node for field, node in fields(next(event[4] for event in written if 4 in event)) if field == 1]
    named = [[value.decode() for _, value in fields(node)] for node in nodes]
    names = [model.input.call.layer.name, *[layer.name for layer in model.layers]]
    assert [node[0] for node in named] == names
    assert [node[2:] for node in named] == [[], *[[name] for name in names[:-1]]]
    histograms = [dict(fields(event[5]))[1] for event in written if 5 in event]
    found = {dict(fields(value))[1].decode(): dict(fields(dict(fields(value))[5])) for value in histograms if 5 in dict(fields(value))}
    kernel = model.weights[0]
    told = found[f"{kernel.label}/histogram"]
    assert struct.unpack("<d", told[1])[0] == kernel.value.min()
    assert struct.unpack("<d", told[3])[0] == np.frombuffer(told[7], "<f8").sum() == kernel.value.size


def test_what_tensorboard_does_not_get() -> None:
    for options in ({"write_images": True}, {"profile_batch": 2}, {"embeddings_freq": 1}, {"histogram_freq": -1}, {"update_freq": "step"}):
        with pytest.raises(ArgumentError, match=next(iter(options))):
            ready.TensorBoard(**options)
