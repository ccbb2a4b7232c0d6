"""fit, evaluate, predict: figures against formulas written out in NumPy, data of all kinds, callbacks, and what goes wrong."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import nn
from graphc.core.errors import ArgumentError, ShapeError
from graphc.nn import Input, Model, Sequential, layers
from graphc.nn.data import source
from graphc.nn.fit import equal_calls
from graphc.nn.layers import Dense
from graphc.nn.progress import ProgressBar, figures

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype("float32")
T = (X @ np.array([1, -2, 0.5, 3], "float32")).astype("float32")
LABELS = (T > 0).astype("uint8") + (T > 3)
WEIGHTS = RNG.random(50).astype("float32")
BACKENDS: list[Any] = ["numpy", "jax"]


class Reference:
    """A linear model trained by hand, in float64: mean squared error, SGD."""

    def __init__(self, kernel: Array, rate: float = 0.05) -> None:
        self.kernel, self.rate = kernel.astype("float64"), rate

    def epoch(self, x: Array, t: Array, size: int, w: Array | None = None) -> tuple[float, float]:
        """The means of the loss and of the absolute error over all samples, as training goes on."""
        losses = errors = 0.0
        for at in range(0, len(x), size):
            a, b, c = x[at : at + size], t[at : at + size, None], np.ones(len(x[at : at + size])) if w is None else w[at : at + size]
            error = a @ self.kernel - b
            losses += float(np.sum(c[:, None] * error**2))
            errors += float(np.abs(error).sum())
            self.kernel -= self.rate * 2 * a.T @ (c[:, None] * error) / len(a)
        return losses / len(x), errors / len(x)


def linear(backend: Any = "numpy", **options: Any) -> Any:
    nn.set_random_seed(0)
    model = Sequential([Input((4,)), Dense(1, use_bias=False)])
    model.compile(nn.optimizers.SGD(0.05), "mse", metrics=["mae"], backend=backend, **options)
    return model


def classifier(backend: Any = "numpy", **options: Any) -> Any:
    nn.set_random_seed(3)
    model = Sequential([Dense(8, activation="relu", kernel_regularizer="l2"), Dense(3, activation="softmax")])
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"], backend=backend, **options)
    return model


# ---------------------------------------------------------------- figures
@pytest.mark.parametrize(
    ("backend", "weight", "told"), [("numpy", None, [0, 1, 2, 3]), ("numpy", WEIGHTS, [0, 1, 2, 3]), ("jax", WEIGHTS, [2, 3])]
)
def test_epochs_are_what_the_formulas_say(backend: Any, weight: Array | None, told: list[int]) -> None:
    """On JAX the three batches of 16 are one call, and the last one, of 2, is another."""
    model, heard = linear(backend), Recorder()
    reference = Reference(model.get_weights()[0])
    options: Any = {"batch_size": 16, "shuffle": False, "verbose": 0, "sample_weight": weight, "callbacks": [heard]}
    history = model.fit(X, T, epochs=2, **options).history
    wanted = [reference.epoch(X, T, 16, weight) for _ in range(2)]
    np.testing.assert_allclose(history["loss"], [loss for loss, _ in wanted], rtol=2e-5)
    np.testing.assert_allclose(history["mae"], [error for _, error in wanted], rtol=2e-5)
    np.testing.assert_allclose(model.get_weights()[0], reference.kernel, rtol=1e-4, atol=1e-6)
    assert [first for first, *_ in heard.heard if isinstance(first, int)] == 2 * told


def test_backends_and_calls_of_many_steps_agree() -> None:
    """The last batch is as large as the others, so that JAX compiles once."""
    x, labels = X[:48], LABELS[:48]
    runs = [
        classifier(backend, **options).fit(x, labels, epochs=2, batch_size=16, verbose=0, validation_data=(x[:16], labels[:16])).history
        for backend, options in (("numpy", {}), ("jax", {}), ("jax", {"steps_per_call": 1}), ("numpy", {}))
    ]
    assert runs[0] == runs[3]
    assert runs[1] == runs[2]
    for name, values in runs[0].items():
        np.testing.assert_allclose(values, runs[1][name], rtol=1e-4, err_msg=name)


def test_calls_are_of_one_length_where_that_can_be() -> None:
    assert [equal_calls(steps) for steps in (60_000 // 128, 0, 1, 10, 67, 128)] == [52, 1, 1, 10, 64, 64]


def test_evaluate_and_predict() -> None:
    model = classifier()
    p = model.predict(X, batch_size=16, verbose=0)
    hidden, last = model.layers
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    loss, accuracy = model.evaluate(X, LABELS, batch_size=16, verbose=0)
    cross = -np.log(p[np.arange(50), LABELS])
    np.testing.assert_allclose(loss, cross.mean() + 0.01 * np.sum(hidden.get_weights()[0] ** 2), rtol=1e-5)
    assert accuracy == np.mean(p.argmax(1) == LABELS)
    assert model.metrics_names == ["loss", "accuracy"]
    assert model.evaluate(X, LABELS, verbose=0, return_dict=True).keys() == {"loss", "accuracy"}
    np.testing.assert_allclose(p, model(X), rtol=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(X[:3]), p[:3], rtol=1e-5)
    assert last.count_params() == 27


def test_single_batches() -> None:
    model = linear()
    reference = Reference(model.get_weights()[0])
    before = model.test_on_batch(X, T)
    np.testing.assert_allclose(before, reference.epoch(X, T, 50), rtol=1e-5)
    np.testing.assert_allclose(model.train_on_batch(X, T), before, rtol=1e-6)
    np.testing.assert_allclose(model.get_weights()[0], reference.kernel, rtol=1e-5)
    assert set(model.train_on_batch(X, T, return_dict=True)) == {"loss", "mae"}


def test_a_softmax_is_trained_from_its_logits() -> None:
    kernel = nn.initializers.Constant([[400.0, 0.0]])
    model = Sequential([Input((1,)), Dense(2, use_bias=False, kernel_initializer=kernel, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert model.train_on_batch(np.ones((1, 1)), [1]) == pytest.approx(400)


def test_class_weight_and_weighted_metrics() -> None:
    nn.set_random_seed(0)
    model = Sequential([Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    p = model.predict(X, verbose=0)
    table = np.array([1.0, 5.0, 0.5])
    logs = model.train_on_batch(X, LABELS, class_weight={1: 5.0, 2: 0.5}, return_dict=True)
    right = p.argmax(1) == LABELS
    w = table[LABELS]
    np.testing.assert_allclose(logs["loss"], np.mean(-np.log(p[np.arange(50), LABELS]) * w), rtol=1e-5)
    np.testing.assert_allclose(logs["accuracy"], right.mean(), rtol=1e-6)
    np.testing.assert_allclose(logs["weighted_accuracy"], (right * w).sum() / w.sum(), rtol=1e-6)


def test_several_outputs() -> None:
    nn.set_random_seed(0)
    x = Input((4,))
    first, second = Dense(3, activation="softmax", name="cls")(x), Dense(1, name="reg")(x)
    model = Model(x, [first, second])
    losses = {"cls": "sparse_categorical_crossentropy", "reg": "mse"}
    model.compile("sgd", losses, loss_weights={"cls": 2.0, "reg": 0.5}, metrics={"cls": ["acc"], "reg": ["mae"]})
    p, q = model.predict(X, verbose=0)
    logs = model.evaluate(X, {"cls": LABELS, "reg": T}, verbose=0, return_dict=True)
    cls, reg = np.mean(-np.log(p[np.arange(50), LABELS])), np.mean((q[:, 0] - T) ** 2)
    np.testing.assert_allclose([logs["cls_loss"], logs["reg_loss"], logs["loss"]], [cls, reg, 2 * cls + 0.5 * reg], rtol=1e-5)
    assert list(logs) == ["loss", "cls_loss", "reg_loss", "cls_acc", "reg_mae"]
    assert model.evaluate(X, [LABELS, T], verbose=0) == list(logs.values())
    alone = Model(x, [first, second])
    alone.compile("sgd", [None, "mse"])
    np.testing.assert_allclose(alone.evaluate(X, T, verbose=0, return_dict=True)["loss"], reg, rtol=1e-5)


# ---------------------------------------------------------------- data
def test_generators_iterables_and_batches_are_the_same_as_arrays() -> None:
    def generator() -> Iterator[Any]:
        for at in range(0, 50, 16):
            yield X[at : at + 16], T[at : at + 16]

    class Sequence:
        def __len__(self) -> int:
            return 4

        def __getitem__(self, place: int) -> Any:
            return X[16 * place : 16 * place + 16], T[16 * place : 16 * place + 16]

    wanted = linear().fit(X, T, batch_size=16, shuffle=False, verbose=0).history
    for data in (generator(), list(generator()), Sequence()):
        assert linear().fit(data, verbose=0).history == wanted
    assert linear().fit(gc.Batches((X, T), 16), shuffle=False, verbose=0).history == wanted
    weighted = linear().fit(X, T, batch_size=16, shuffle=False, verbose=0, sample_weight=WEIGHTS).history
    assert linear().fit([(x, t, w) for x, t, w in gc.Batches((X, T, WEIGHTS), 16)], verbose=0).history == weighted


@pytest.mark.parametrize("backend", BACKENDS)
def test_epochs_that_are_cut_short_go_on(backend: Any) -> None:
    model = linear(backend)
    start = model.get_weights()
    reference = Reference(start[0])
    history = model.fit(X, T, epochs=2, steps_per_epoch=2, batch_size=25, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], [reference.epoch(X, T, 25)[0] for _ in range(2)], rtol=2e-5)
    endless = (pair for _ in range(100) for pair in [(X[:25], T[:25]), (X[25:], T[25:])])
    model.set_weights(start)
    again = model.fit(endless, epochs=2, steps_per_epoch=2, verbose=0).history
    np.testing.assert_allclose(again["loss"], history["loss"], rtol=1e-6)


def test_data_that_ends_before_the_steps_of_an_epoch() -> None:
    with pytest.warns(UserWarning, match="ended before 5 steps"):
        linear().fit(iter([(X, T)]), steps_per_epoch=5, verbose=0)


def test_validation() -> None:
    model = linear()
    history = model.fit(X[:40], T[:40], epochs=4, verbose=0, validation_data=(X[40:], T[40:]), validation_freq=2).history
    assert [len(history[name]) for name in ("loss", "val_loss", "val_mae")] == [4, 2, 2]
    assert history["val_loss"][-1] == pytest.approx(model.evaluate(X[40:], T[40:], verbose=0)[0])
    split = linear().fit(X, T, epochs=4, verbose=0, validation_split=0.2, validation_freq=[2, 4], shuffle=True).history
    assert split == history


def test_every_epoch_takes_each_sample_once() -> None:
    def orders(**options: Any) -> list[Array]:
        data = source(np.arange(50), **options)
        return [np.concatenate([batch[0] for part in data.epoch(number) for batch in part.batches]) for number in range(3)]

    first, again, other = (orders(batch_size=16, seed=seed) for seed in (3, 3, 4))
    for order in first:
        np.testing.assert_array_equal(np.sort(order), np.arange(50))
    assert len({tuple(order) for order in [*first, *other, np.arange(50)]}) == 7
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(orders(batch_size=1000), [np.arange(50)] * 3)


def test_every_epoch_has_an_order_that_its_number_decides() -> None:
    whole, half, rest = linear(), linear(), linear()
    for model, epochs in ((whole, 4), (half, 2)):
        nn.set_random_seed(1)
        model.fit(X, T, epochs=epochs, batch_size=16, verbose=0)
    nn.set_random_seed(1)
    rest.set_weights(half.get_weights())
    rest.fit(X, T, epochs=4, initial_epoch=2, batch_size=16, verbose=0)
    np.testing.assert_array_equal(rest.get_weights()[0], whole.get_weights()[0])


def test_layers_that_are_frozen_when_compiled() -> None:
    model = Sequential([Input((4,)), Dense(3, name="fixed"), Dense(1)])
    model.layers[0].trainable = False
    before = model.get_weights()
    model.compile("sgd", "mse")
    model.layers[0].trainable = True  # after: does not count
    model.fit(X, T, verbose=0)
    after = model.get_weights()
    assert [np.array_equal(a, b) for a, b in zip(before, after, strict=True)] == [True, True, False, False]


def test_constraints_hold_after_each_step() -> None:
    model = Sequential([Input((4,)), Dense(3, kernel_constraint="non_neg"), Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, T, verbose=0)
    assert model.get_weights()[0].min() >= 0


def test_what_the_loss_does_not_depend_on() -> None:
    class Idle(Dense):
        def call(self, x: Any) -> Any:
            return x

    model = Sequential([Input((4,)), Idle(3), Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="does not depend on idle"):
        model.fit(X, T, verbose=0)


def test_functions_are_compiled_once_for_all_batches() -> None:
    model = linear()
    model.fit(X, T, batch_size=16, epochs=2, verbose=0)
    model.fit(X[:20], T[:20], batch_size=7, verbose=0)
    assert len(model.training._steps) == 1


# ---------------------------------------------------------------- callbacks
class Recorder(nn.Callback):
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.heard.append(("begin", self.params["epochs"], self.params["steps"]))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.heard.append(("epoch", epoch))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.heard.append((batch, sorted(logs)))

    def on_test_end(self, logs: Any = None) -> None:
        self.heard.append("tested")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.heard.append(("end", sorted(logs)))
        self.model.stop_training = epoch == 1


def test_callbacks_hear_as_in_keras() -> None:
    recorder, model = Recorder(), linear()
    history = model.fit(X, T, epochs=9, batch_size=32, verbose=0, callbacks=[recorder], validation_data=(X, T))
    batches = [(0, ["loss", "mae"]), (1, ["loss", "mae"])]
    end = ["tested", ("end", ["loss", "mae", "val_loss", "val_mae"])]
    assert recorder.heard == [("begin", 9, 2), ("epoch", 0), *batches, *end, ("epoch", 1), *batches, *end]
    assert history.epoch == [0, 1]


def test_a_callback_stops_in_the_middle_of_an_epoch() -> None:
    class Stopping(nn.Callback):
        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 1

    model = linear()
    model.fit(X, T, epochs=3, batch_size=10, verbose=0, callbacks=Stopping())
    assert model.optimizer.iterations == 2


def test_the_learning_rate_may_be_changed_in_between() -> None:
    class Halting(nn.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch:
                self.model.optimizer.learning_rate = 0.0

    model = linear()
    history = model.fit(X, T, epochs=3, shuffle=False, verbose=0, callbacks=[Halting()]).history
    assert history["loss"][0] > history["loss"][1] == history["loss"][2]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(out: io.StringIO, **options: Any) -> str:
    linear().fit(X, T, epochs=2, verbose=0, callbacks=[ProgressBar(out, **options)])
    return out.getvalue()


def test_a_file_gets_a_line_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    for text in (told(io.StringIO()), told(io.StringIO(), moving=False), told(Terminal())):
        first, second = text.splitlines()
        assert first.startswith("epoch 1/2  loss ")
        assert "mae" in second
        assert "\r" not in text
        assert "\x1b" not in text


def test_a_terminal_gets_a_bar_and_keeps_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TERM": "xterm", "COLUMNS": "100", "LINES": "25"}.items():
        monkeypatch.setenv(name, value)
    text = told(Terminal())
    assert "\x1b[?25l" in text  # the cursor is hidden
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # and shown again
    assert [text.count(f"epoch {number}/2  loss") for number in (1, 2)] == [1, 1]


def test_ctrl_c_gives_the_terminal_back(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[BaseException] = []

    class Interrupting(nn.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 1:
                raise KeyboardInterrupt

        def on_exception(self, exception: BaseException) -> None:
            heard.append(exception)

    monkeypatch.setenv("TERM", "xterm")
    out, model = Terminal(), linear()
    with pytest.raises(KeyboardInterrupt) as stopped:
        model.fit(X, T, batch_size=10, verbose=0, callbacks=[ProgressBar(out), Interrupting()])
    assert heard == [stopped.value]
    assert model.optimizer.iterations == 2
    assert out.getvalue().rindex("\x1b[?25h") > out.getvalue().rindex("\x1b[?25l")


def test_figures_are_short() -> None:
    assert figures({"loss": 0.25, "tiny": 1e-7, "auc": 0.0, "big": 1.5e9}) == "loss 0.2500  tiny 1e-07  auc 0.0000  big 1.5e+09"


# ---------------------------------------------------------------- what goes wrong
class Logarithm(nn.Layer):
    def call(self, x: Any) -> Any:
        return gc.log(x - 1e9)  # the bad node


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loss_that_is_nan_names_the_first_bad_node(backend: Any) -> None:
    nn.set_random_seed(0)
    model = Sequential([Input((4,)), Dense(3), Logarithm(), Dense(1)])
    model.compile("sgd", "mse", backend=backend)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(X, T, epochs=2, batch_size=20, verbose=0).history
    assert np.isnan(history["loss"]).all()
    messages = [str(warning.message) for warning in caught if issubclass(warning.category, nn.NonFiniteWarning)]
    if backend == "numpy":
        (message,) = messages
        assert "log, test_fit.py:" in message
    else:
        assert len(messages) == 2
        assert "check=True" in messages[0]


def test_the_infinite_value_that_led_to_a_nan_is_named() -> None:
    model = Sequential([Input((4,)), Dense(1, kernel_initializer="zeros", use_bias=False)])
    model.compile("sgd", lambda y, p: gc.log(p) * 0 + p)  # type: ignore[arg-type]
    with pytest.warns(nn.NonFiniteWarning, match=r"log: an inf came of finite operands\n.* log, test_fit.py"):
        model.fit(X, T[:, None], epochs=1, verbose=0)


def test_bad_arguments() -> None:
    model = linear()
    cases: list[tuple[Any, str]] = [
        (lambda: Sequential([Dense(1)]).fit(X, T), "not compiled"),
        (lambda: model.fit(X, T[:-1], verbose=0), "49 and 50 samples"),
        (lambda: model.fit(None, T), "no data"),
        (lambda: model.fit(iter([]), verbose=0), "no batch"),
        (lambda: model.fit([(X, T)], T, verbose=0), "beside an iterable"),
        (lambda: model.fit(X, T, batch_size=0), "batch_size"),
        (lambda: model.fit(X, T, epochs=-1), "epochs"),
        (lambda: model.fit(X, T, verbose=7), "verbose=7"),
        (lambda: model.fit(X, T, validation_split=1.5), "validation_split"),
        (lambda: model.fit(X, T, callbacks=[3]), "no callback"),
        (lambda: model.fit(X, verbose=0), "no target"),
        (lambda: model.fit(X, np.array(["a"] * 50), verbose=0), "dtype"),
        (lambda: model.fit(gc.input("x", (3,)), T), "graph"),
        (lambda: model.fit(X, [T, T], verbose=0), "2 targets for 1 outputs"),
        (lambda: model.compile("sgd", "mse", ["accuracy"]), "loss_weights"),
        (lambda: model.compile("sgdd", "mse"), "sgdd"),
        (lambda: model.compile("sgd", "msee"), "msee"),
        (lambda: model.compile("sgd", "mse", metrics=["acuracy"]), "acuracy"),
        (lambda: model.compile("sgd", {"other": "mse"}) or model.fit(X, T, verbose=0), "'other'"),
    ]
    for call, match in cases:
        with pytest.raises((ArgumentError, ShapeError), match=match):
            call()


# ---------------------------------------------------------------- masks and states
def masked_sequences() -> tuple[Array, Array]:
    """Words of which 0 is none, and a class for each."""
    words = RNG.integers(1, 10, size=(8, 6))
    for row, length in enumerate([6, 3, 2, 1, 4, 5, 6, 2]):
        words[row, length:] = 0
    return words, RNG.integers(0, 3, size=(8, 6))


@pytest.mark.parametrize("backend", BACKENDS)
def test_steps_that_are_masked_count_neither_in_the_loss_nor_in_metrics_nor_in_the_gradient(backend: Any) -> None:
    words, classes = masked_sequences()
    nn.set_random_seed(1)
    model = Sequential([layers.Embedding(10, 4, mask_zero=True), layers.LSTM(5, return_sequences=True), Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], backend=backend)
    found = model.evaluate(words, classes, verbose=0, return_dict=True)
    p, counts = model.predict(words, verbose=0).astype("float64"), words != 0
    losses = -np.log(np.take_along_axis(p, classes[..., None], -1))[..., 0]
    assert found["loss"] == pytest.approx(losses[counts].mean(), rel=1e-6)
    assert found["accuracy"] == pytest.approx((p.argmax(-1) == classes)[counts].mean(), rel=1e-6)

    weights = model.get_weights()
    after = []
    for others in (classes, np.where(counts, classes, (classes + 1) % 3)):  # other targets where nothing counts
        model.set_weights(weights)
        model.train_on_batch(words, others)
        after.append(model.get_weights())
    for one, other in zip(*after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stateful_model_goes_on_from_batch_to_batch_and_its_batch_is_a_number(backend: Any) -> None:
    whole = Sequential([layers.GRU(3, return_sequences=True)])
    parts = Sequential([Input(batch_shape=(4, 5, 2)), layers.GRU(3, return_sequences=True, stateful=True)])
    sequences = RNG.normal(size=(4, 10, 2)).astype("float32")
    whole.compile(backend=backend)
    expected = whole.predict(sequences, verbose=0)
    parts.set_weights(whole.get_weights())
    parts.compile("sgd", "mse", backend=backend)
    found = parts.predict(np.concatenate([sequences[:, :5], sequences[:, 5:]]), batch_size=4, verbose=0)
    np.testing.assert_allclose(np.concatenate([found[:4], found[4:]], axis=1), expected, rtol=1e-5, atol=1e-6)

    kernel = parts.get_weights()[0].copy()
    parts.fit(sequences[:, :5], expected[:, :5] + 1, batch_size=4, verbose=0)
    assert not np.array_equal(parts.get_weights()[0], kernel)
    with pytest.raises(ShapeError, match=r"shape \(3, 5, 2\)"):
        parts.predict(sequences[:3, :5], verbose=0)
