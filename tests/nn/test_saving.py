"""Models in files: what comes back is what went in, a training goes on to the same bits, and what cannot be read is said."""

from __future__ import annotations

import errno
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import graphc as gc
from graphc import nn
from graphc.core.errors import ArgumentError
from graphc.nn import layers
from graphc.nn.saving import VERSION

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype("float32")
Y = X.sum(1, keepdims=True)


class Scaled(nn.Layer):
    """A layer of the user's, with a weight that is in a list, and a choice that is a name."""

    def __init__(self, units: int, activation: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.units, self.activation = units, nn.activations.get(activation)

    def build(self, input_shape: Any) -> None:
        self.parts = [layers.Dense(self.units), self.add_weight((self.units,), "ones", name="scale")]

    def call(self, x: gc.Tensor) -> gc.Tensor:
        dense, scale = self.parts
        y = dense(x) * scale
        return self.activation(y) if self.activation else y


class Both(nn.Model):
    """A model of the user's, whose structure is its class."""

    def __init__(self, units: int = 3, **options: Any) -> None:
        super().__init__(**options)
        self.blocks = [layers.Dense(units, activation="tanh"), layers.Dense(1)]

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        return self.blocks[1](self.blocks[0](inputs))


def sequential() -> Any:
    return nn.Sequential(
        [layers.Dense(6, activation="relu"), layers.BatchNormalization(), layers.Dropout(0.3), Scaled(3, "relu"), layers.Dense(1)]
    )


def functional() -> Any:
    x = nn.Input((4,), name="x")
    inner = nn.Sequential([nn.Input((4,)), layers.Dense(4, kernel_regularizer=nn.regularizers.L2(0.1))])
    return nn.Model(x, layers.Dense(1, kernel_constraint="non_neg")(gc.concatenate([inner(x), gc.sin(inner(x)) * 2], 1)))


MODELS: dict[str, Callable[[], Any]] = {"sequential": sequential, "functional": functional, "subclass": Both}


def compiled(make: Callable[[], Any] = sequential, seed: int = 1, backend: Any = "numpy") -> Any:
    nn.set_random_seed(seed)
    model = make()
    model.compile(nn.optimizers.Adam(0.01, use_ema=True), "mse", metrics=["mae", nn.metrics.cosine_similarity], backend=backend)
    return model


def trained(make: Callable[[], Any] = sequential, **options: Any) -> Any:
    model = compiled(make)
    model.fit(X, Y, epochs=1, verbose=0, **options)
    return model


def same(one: Any, other: Any) -> bool:
    """Whether all variables have the same bits."""
    pairs = zip([*one.variables, *one.optimizer.variables], [*other.variables, *other.optimizer.variables], strict=True)
    return all(a.value.tobytes() == b.value.tobytes() for a, b in pairs)


# ---------------------------------------------------------------- round trips
@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back(name: str, tmp_path: Path) -> None:
    model = trained(MODELS[name])
    model.save(tmp_path / "model")
    found = nn.load_model(tmp_path / "model")
    assert type(found) is type(model)
    assert same(found, model)
    assert np.array_equal(found.predict(X, verbose=0), model.predict(X, verbose=0))
    assert found.evaluate(X, Y, verbose=0, return_dict=True) == model.evaluate(X, Y, verbose=0, return_dict=True)
    assert found.training.get_config() == model.training.get_config()
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("name", MODELS)
def test_weights_go_into_a_model_that_was_not_built(name: str, tmp_path: Path) -> None:
    model = trained(MODELS[name])
    model.save_weights(tmp_path / "weights")
    found = compiled(MODELS[name], seed=9)
    found.load_weights(tmp_path / "weights")
    assert same(found, model)


def test_without_the_optimizer(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "model", include_optimizer=False)
    found = nn.load_model(tmp_path / "model")
    assert not found.compiled
    assert not nn.load_model(tmp_path / "model", compile=False).compiled
    assert np.array_equal(found(X), model(X))
    assert not any(name.startswith("optimizer") for name in load_file(tmp_path / "model"))


def test_classes_and_functions_of_the_user(tmp_path: Path) -> None:
    class Twice(nn.Layer):
        def call(self, x: gc.Tensor) -> gc.Tensor:
            return 2 * x

    @nn.register
    def third_power(x: gc.Tensor) -> gc.Tensor:
        return x**3

    model = nn.Sequential([nn.Input((4,)), Twice(name="t"), layers.Dense(2, activation=third_power), layers.Lambda(third_power)])
    model.save(tmp_path / "model")

    class Thrice(nn.Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)

        def call(self, x: gc.Tensor) -> gc.Tensor:
            return 3 * x

    assert np.array_equal(nn.load_model(tmp_path / "model")(X), model(X))
    other = nn.load_model(tmp_path / "model", custom_objects={"Twice": Thrice})
    assert isinstance(other.layers[0], Thrice)


def test_a_lambda_that_is_not_registered_is_refused(tmp_path: Path) -> None:
    model = nn.Sequential([nn.Input((4,)), layers.Lambda(lambda x: 2 * x)])
    with pytest.raises(ArgumentError, match=r"Lambda: function cannot be written down[\s\S]*register"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
    model.save_weights(tmp_path / "weights")


def test_a_class_that_is_not_known_is_said(tmp_path: Path) -> None:
    nn.Sequential([nn.Input((4,)), Scaled(2)]).save(tmp_path / "model")
    edited(tmp_path / "model", lambda text: text.replace("Custom>Scaled", "Custom>Unheard"))
    with pytest.raises(ArgumentError, match=r"Unheard[\s\S]*custom_objects"):
        nn.load_model(tmp_path / "model")


# ---------------------------------------------------------------- going on
class Save(nn.Callback):
    """A file after each call of training steps, and after each epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.model.save(self.folder / f"{self.epoch}.{batch + 1}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.save(self.folder / f"{epoch + 1}.0")


def batches() -> list[tuple[Array, Array]]:
    return [(X[at : at + 8], Y[at : at + 8]) for at in range(0, 48, 8)]


WAYS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "arrays": ({"x": X, "y": Y, "batch_size": 8}, ["0.3", "1.0", "1.2", "1.7", "2.0"]),
    "in order": ({"x": X, "y": Y, "batch_size": 8, "shuffle": False}, ["1.0", "1.3"]),
    "epochs that are cut": ({"x": X, "y": Y, "batch_size": 8, "steps_per_epoch": 5}, ["0.5", "1.0", "1.1", "1.3", "2.0", "2.4"]),
    "batches": ({"x": batches()}, ["1.0", "1.2", "1.6"]),
    "batches that are cut": ({"x": batches(), "steps_per_epoch": 4}, ["1.0", "1.2", "1.3", "2.0"]),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_training_goes_on_to_the_same_bits(way: str, tmp_path: Path) -> None:
    options, places = WAYS[way]
    model = compiled()
    history = model.fit(**options, epochs=3, verbose=0, callbacks=Save(tmp_path)).history
    for place in places:
        random.seed(99)
        found = nn.load_model(tmp_path / place)
        epoch = int(place[0])
        rest = found.fit(**options, epochs=3, initial_epoch=epoch, verbose=0).history
        assert same(found, model), place
        assert rest == {name: values[epoch:] for name, values in history.items()}, place


def test_a_training_goes_on_to_the_same_bits_on_jax(tmp_path: Path) -> None:
    options = WAYS["arrays"][0]
    model = compiled(functional, backend="jax")
    history = model.fit(**options, epochs=2, verbose=0, callbacks=Save(tmp_path)).history
    for place in ("0.6", "1.0"):
        found = nn.load_model(tmp_path / place)
        rest = found.fit(**options, epochs=2, initial_epoch=int(place[0]), verbose=0).history
        assert same(found, model), place
        assert rest == {name: values[int(place[0]) :] for name, values in history.items()}, place


OPTIMIZERS: list[Callable[[], Any]] = [
    lambda: nn.optimizers.Nadam(0.01, gradient_accumulation_steps=2),
    lambda: nn.optimizers.LossScaleOptimizer(nn.optimizers.RMSprop(nn.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5), momentum=0.9)),
    lambda: nn.optimizers.Adafactor(0.01, global_clipnorm=1.0),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["Nadam", "LossScale", "Adafactor"])
def test_optimizers_go_on(optimizer: Callable[[], Any], tmp_path: Path) -> None:
    model = functional()
    model.compile(optimizer(), "mse")
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=Save(tmp_path))
    found = nn.load_model(tmp_path / "0.3")
    found.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    assert same(found, model)


def test_two_calls_of_fit_are_one() -> None:
    once, twice = compiled(), compiled()
    for model in (once, twice):
        model.compile("adam", "mse")  # without averages, which replace weights when a fit ends
    nn.set_random_seed(2)
    once.fit(X, Y, epochs=4, verbose=0)
    nn.set_random_seed(2)
    twice.fit(X, Y, epochs=2, verbose=0)
    twice.fit(X, Y, epochs=4, initial_epoch=2, verbose=0)
    assert same(once, twice)


def test_another_first_epoch_begins_anew(tmp_path: Path) -> None:
    compiled().fit(X, Y, epochs=2, verbose=0, batch_size=8, callbacks=Save(tmp_path))
    found = nn.load_model(tmp_path / "1.3")
    assert len(found.fit(X, Y, epochs=2, verbose=0).epoch) == 2
    found = nn.load_model(tmp_path / "1.3")
    with pytest.raises(ArgumentError, match="goes on after 3 batches of epoch 2, which has 2"):
        found.fit(X, Y, epochs=2, initial_epoch=1, verbose=0)


def test_another_optimizer_begins_anew(tmp_path: Path) -> None:
    model = trained()
    model.save_weights(tmp_path / "weights")
    found = sequential()
    found.compile("sgd", "mse")
    with pytest.warns(nn.SavingWarning, match="SGD cannot take"):
        found.load_weights(tmp_path / "weights")
    assert np.array_equal(found(X), model(X))


# ---------------------------------------------------------------- what goes wrong
def edited(path: Path, change: Callable[[str], str]) -> None:
    """Write a file anew with other words in its description, as one who means it would."""
    from graphc.nn import saving, weights

    arrays, metadata = weights.read(path)
    text = change(metadata["graphc"])
    weights.write(path, arrays, {"graphc": text, "digest": saving._digest(text, arrays)})


def test_damaged_files(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "model")
    whole = (tmp_path / "model").read_bytes()
    before = model.get_weights()
    for at in [*range(0, len(whole), len(whole) // 40), len(whole) - 1]:
        (tmp_path / "flipped").write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(nn.WeightsError, match=r"damaged|no whole|something else"):
            model.load_weights(tmp_path / "flipped")
        (tmp_path / "short").write_bytes(whole[:at])
        with pytest.raises(nn.WeightsError, match="no whole"):
            nn.load_model(tmp_path / "short")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_files_of_something_else(tmp_path: Path) -> None:
    model = trained()
    with pytest.raises(nn.WeightsError, match="No such file"):
        nn.load_model(tmp_path / "none")
    save_file({"a": X}, tmp_path / "other")
    with pytest.raises(nn.WeightsError, match="of something else"):
        nn.load_model(tmp_path / "other")
    model.save_weights(tmp_path / "weights")
    with pytest.raises(nn.WeightsError, match=r"has weights and no model[\s\S]*load_weights"):
        nn.load_model(tmp_path / "weights")
    edited(tmp_path / "weights", lambda text: json.dumps(json.loads(text) | {"version": VERSION + 1, "graphc": "77.0"}))
    with pytest.raises(nn.WeightsError, match=rf"version {VERSION + 1}, written by graphc 77.0"):
        model.load_weights(tmp_path / "weights")


def test_weights_of_another_model(tmp_path: Path) -> None:
    def stack(*units: int) -> Any:
        return nn.Sequential([nn.Input((4,)), *[layers.Dense(n, name=f"d{i}") for i, n in enumerate(units)]])

    stack(3, 2).save_weights(tmp_path / "weights")
    for units, said in (((3,), "4: d0/kernel"), ((3, 2, 1), "4: d0/kernel"), ((3, 5), r"d1/kernel: float32\[3, 2\] in the file")):
        model = stack(*units)
        before = model.get_weights()
        with pytest.raises(nn.WeightsError, match=said):
            model.load_weights(tmp_path / "weights")
        assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
        with pytest.warns(nn.SavingWarning, match="left as they are"):
            model.load_weights(tmp_path / "weights", skip_mismatch=True)
        assert not np.array_equal(before[0], model.get_weights()[0])
    with pytest.raises(nn.WeightsError, match="no weights yet"):
        nn.Sequential([layers.Dense(1)]).save(tmp_path / "model")


def test_files_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained()
    model.save(tmp_path / "model")
    whole = (tmp_path / "model").read_bytes()
    with pytest.raises(nn.WeightsError, match="there already"):
        model.save(tmp_path / "model", overwrite=False)
    with pytest.raises(nn.WeightsError, match="the model cannot be saved"):
        model.save(tmp_path / "model" / "within a file")
    with pytest.raises(nn.WeightsError, match="the weights cannot be saved"):
        model.save_weights(tmp_path / "no folder" / "weights")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(nn.WeightsError, match=r"No space left[\s\S]*the file that was there is as it was[\s\S]*bytes free"):
        model.save(tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == whole
    assert os.listdir(tmp_path) == ["model"]
