"""Recurrent layers: values and gradients as Keras has them and as NumPy loops give them, states, masks, dropout, cells of one's own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import nn
from graphc.core.errors import ArgumentError, ShapeError
from graphc.nn.configured import packed, unpacked
from graphc.nn.layer import Layer
from graphc.nn.layers import Dense, Embedding
from graphc.nn.layers.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, SimpleRNN, SimpleRNNCell, StackedRNNCells

RNG = np.random.default_rng(0)
Array = np.ndarray[Any, Any]
X = RNG.normal(size=(3, 5, 4)).astype("float32")
MASK = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 1, 1, 0]], bool)
KINDS = [SimpleRNN, LSTM, GRU]


# ---------------------------------------------------------------- against loops in NumPy
def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def simple_step(x: Array, h: Array, kernel: Array, recurrent: Array, bias: Array) -> Any:
    h = np.tanh(x @ kernel + bias + h @ recurrent)
    return h, h


def lstm_step(x: Array, h: Array, c: Array, kernel: Array, recurrent: Array, bias: Array) -> Any:
    i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, h, c


def gru_step(x: Array, h: Array, kernel: Array, recurrent: Array, bias: Array) -> Any:
    xz, xr, xh = np.split(x @ kernel + bias[0], 3, axis=1)
    hz, hr, hh = np.split(h @ recurrent + bias[1], 3, axis=1)
    z, r = sigmoid(xz + hz), sigmoid(xr + hr)
    h = z * h + (1 - z) * np.tanh(xh + r * hh)
    return h, h


def gru_before_step(x: Array, h: Array, kernel: Array, recurrent: Array, bias: Array) -> Any:
    units = h.shape[1]
    xz, xr, xh = np.split(x @ kernel + bias, 3, axis=1)
    z, r = sigmoid(xz + h @ recurrent[:, :units]), sigmoid(xr + h @ recurrent[:, units : 2 * units])
    h = z * h + (1 - z) * np.tanh(xh + (r * h) @ recurrent[:, 2 * units :])
    return h, h


def loop(step: Any, x: Array, mask: Array, states: list[Array], weights: list[Array], backwards: bool) -> tuple[Array, list[Array]]:
    """The outputs in the order in which they are made, and the last states."""
    y, ys = states[0], []
    for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
        out, *new = step(x[:, t], *states, *weights)
        counts = mask[:, t, None]
        y, states = np.where(counts, out, y), [np.where(counts, a, b) for a, b in zip(new, states, strict=True)]
        ys.append(y)
    return np.stack(ys, axis=1), states


LOOPS: dict[str, Any] = {
    "SimpleRNN": (simple_step, SimpleRNN, {}, 1),
    "LSTM": (lstm_step, LSTM, {}, 2),
    "GRU": (gru_step, GRU, {}, 1),
    "GRU before": (gru_before_step, GRU, {"reset_after": False}, 1),
}


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("name", LOOPS)
def test_values_and_gradients_are_those_of_a_loop(name: str, backwards: bool) -> None:
    """With a mask and first states; the gradient along a direction, against a difference."""
    step, cls, arguments, count = LOOPS[name]
    rng = np.random.default_rng(7)
    layer = cls(3, return_sequences=True, return_state=True, go_backwards=backwards, dtype="float64", **arguments)
    x, states = rng.normal(size=(3, 5, 4)), [rng.normal(size=(3, 3)) for _ in range(count)]
    layer.build(x.shape)
    layer.built = True
    weights = [rng.normal(size=w.shape) for w in layer.weights]
    layer.set_weights(weights)
    inputs = [gc.input(f"x{i}", a.shape, "float64") for i, a in enumerate([x, *states])]
    with nn.Forward():
        y, *after = layer(inputs[0], initial_state=inputs[1:], mask=MASK)
    factors = [rng.normal(size=a.shape) for a in (y, *after)]
    total = sum([gc.sum(a * factor) for a, factor in zip((y, *after), factors, strict=True)], gc.constant(0.0, dtype="float64"))
    wrt = [*inputs, *layer.weights]
    f = gc.compile(inputs, [y, *after, *gc.grad(total, wrt)])

    def by_loop(values: list[Array]) -> list[Array]:
        ys, last = loop(step, values[0], MASK, values[1 : 1 + count], values[1 + count :], backwards)
        return [ys, *last]

    at = [x, *states, *weights]
    found = f(x, *states)
    for a, b in zip(found, by_loop(at), strict=False):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    direction = [rng.normal(size=a.shape) for a in at]

    def along(e: float) -> float:
        ys = by_loop([a + e * d for a, d in zip(at, direction, strict=True)])
        return float(sum([np.sum(a * factor) for a, factor in zip(ys, factors, strict=True)]))

    slope = sum([np.sum(g * d) for g, d in zip(found[1 + count :], direction, strict=True)])
    np.testing.assert_allclose(slope, (along(1e-5) - along(-1e-5)) / 2e-5, rtol=1e-6)


def test_stacked_cells_are_layers_in_a_row() -> None:
    layer = RNN([LSTMCell(3), GRUCell(2)], return_sequences=True, return_state=True)
    y, *states = layer(X, mask=MASK)
    first, second = LSTM(3, return_sequences=True, return_state=True), GRU(2, return_sequences=True, return_state=True)
    middle = first(X)
    second(middle[0])
    first.set_weights(layer.get_weights()[:3])
    second.set_weights(layer.get_weights()[3:])
    middle = first(X, mask=MASK)
    last = second(middle[0], mask=MASK)
    np.testing.assert_allclose(y, last[0], rtol=1e-6)
    np.testing.assert_allclose(states[0][1], middle[2], rtol=1e-6)
    np.testing.assert_allclose(states[1][0], last[1], rtol=1e-6)
    again = layer(X[:, 2:], initial_state=[list(layer(X[:, :2])[1]), list(layer(X[:, :2])[2])])
    np.testing.assert_allclose(again[0], layer(X)[0][:, 2:], rtol=1e-5)
    assert StackedRNNCells([LSTMCell(3), SimpleRNNCell(2)]).state_size == [[3, 3], 2]


@pytest.mark.parametrize("cls", KINDS)
def test_unrolled_the_loop_gives_the_same(cls: Any) -> None:
    layer = cls(3, return_sequences=True, go_backwards=True)
    wanted = layer(X, mask=MASK)
    other = cls(3, return_sequences=True, go_backwards=True, unroll=True)
    other(X)
    other.set_weights(layer.get_weights())
    x = gc.input("x", X.shape, "float32")
    with nn.Forward():
        y = other(x, mask=MASK)
    f = gc.compile(x, y)
    assert "loop" not in f.source
    np.testing.assert_allclose(f(X), wanted, rtol=1e-6, atol=1e-7)


def test_one_function_for_any_number_of_steps_and_samples() -> None:
    layers = [cls(3, return_sequences=sequences) for cls in KINDS for sequences in (True, False)]
    x = gc.input("x", ("batch", "steps", 4), "float32")
    with nn.Forward():
        ys = [layer(x) for layer in layers]
    assert [str(y.shape) for y in ys[:2]] == ["(batch, steps, 3)", "(batch, 3)"]
    f = gc.compile(x, ys)
    for batch, steps in (3, 5), (2, 1), (1, 0), (0, 3):
        part = X[:batch, :steps]
        for y, layer in zip(f(part), layers, strict=True):
            np.testing.assert_allclose(y, layer(part), rtol=1e-5, atol=1e-6)
    assert not f(X[:1, :0])[1].any()


def test_jax_gives_the_same() -> None:
    layers = [SimpleRNN(3), LSTM(3, return_sequences=True), GRU(3, go_backwards=True), RNN([LSTMCell(2), SimpleRNNCell(3)])]
    x = gc.input("x", X.shape, "float32")
    with nn.Forward():
        ys = [layer(x, mask=MASK) for layer in layers]
    gradients = gc.grad(sum([gc.sum(y * y) for y in ys], gc.constant(0.0)), [w for layer in layers for w in layer.weights])
    one, other = [gc.compile(x, [*ys, *gradients], backend=backend)(X) for backend in ("numpy", "jax")]
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- weights
def test_weights() -> None:
    layer = LSTM(3, name="memory")
    layer(X)
    assert [(r.name, r.variable.shape) for r in layer.weight_records()] == [
        ("kernel", (4, 12)),
        ("recurrent_kernel", (3, 12)),
        ("bias", (12,)),
    ]
    assert [w.label for w in layer.weights] == [f"memory/lstm_cell/{name}" for name in ("kernel", "recurrent_kernel", "bias")]
    kernel, recurrent, bias = layer.get_weights()
    assert bias.tolist() == [0] * 3 + [1] * 3 + [0] * 6
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(3), atol=1e-5)
    assert abs(kernel).max() <= np.sqrt(6 / 16)
    assert (layer.units, layer.cell.units, layer.dropout) == (3, 3, 0.0)
    gru = GRU(3)
    gru(X)
    assert gru.weights[2].shape == (2, 9)
    plain = SimpleRNN(3, use_bias=False, kernel_regularizer="l2")
    plain(X)
    assert (len(plain.weights), len(plain.losses)) == (2, 1)
    with pytest.raises(AttributeError, match="has no attribute 'heads'"):
        _ = layer.heads


@pytest.mark.parametrize(
    "layer",
    [
        SimpleRNN(2, "relu", go_backwards=True),
        LSTM(2, recurrent_initializer=nn.initializers.Orthogonal(seed=3), dropout=0.5, seed=1, return_sequences=True),
        GRU(2, reset_after=False, unroll=True, implementation=1),
        RNN([LSTMCell(2), GRUCell(3, bias_regularizer="l1")], return_state=True, zero_output_for_mask=True),
        RNN(SimpleRNNCell(2)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_config_makes_the_layer_again(layer: Any) -> None:
    written = json.loads(json.dumps(packed(layer)))
    again = unpacked(written)
    assert packed(again) == written
    wanted = layer(X)
    again(X)
    again.set_weights(layer.get_weights())
    for a, b in zip(gc.core.tree.flatten(again(X))[0], gc.core.tree.flatten(wanted)[0], strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------- states
def test_a_stateful_layer_goes_on() -> None:
    whole, parts = LSTM(3, return_sequences=True), LSTM(3, return_sequences=True, stateful=True)
    wanted = whole(X)
    parts.build(X.shape)
    parts.built = True
    parts.set_weights(whole.get_weights())
    assert len(parts.weights) == 3
    assert [x.shape for x in parts.states or []] == [(3, 3), (3, 3)]
    for _ in range(2):
        found = np.concatenate([parts(X[:, :2]), parts(X[:, 2:])], axis=1)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        parts.reset_states()
    parts.reset_state([np.ones((3, 3))] * 2)
    np.testing.assert_allclose(parts(X), whole(X, initial_state=[np.ones((3, 3), "float32")] * 2), rtol=1e-5, atol=1e-6)


def test_the_states_of_an_encoder_begin_a_decoder() -> None:
    source, target = nn.Input((None, 4)), nn.Input((None, 4))
    encoder, decoder = LSTM(3, return_state=True), LSTM(3, return_sequences=True)
    _, h, c = encoder(source)
    model = nn.Model([source, target], decoder(target, initial_state=[h, c]))
    _, *states = encoder(X[:, :3])
    np.testing.assert_allclose(model([X[:, :3], X]), decoder(X, initial_state=states), rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------- masks
def test_a_mask_comes_from_an_embedding_and_goes_on() -> None:
    words = np.array([[3, 1, 2], [4, 0, 0]])
    model = nn.Sequential([Embedding(5, 4, mask_zero=True), GRU(3, return_sequences=True), LSTM(2)])
    y = model(words)
    embedding, first, second = model.layers
    short = second(first(embedding(words[1:, :1])))
    np.testing.assert_allclose(y[1:], short, rtol=1e-5, atol=1e-6)
    zero = RNN(GRUCell(3), return_sequences=True, zero_output_for_mask=True)
    assert not zero(X, mask=MASK)[~MASK].any()
    last = RNN(GRUCell(3), zero_output_for_mask=True)
    assert last(X, mask=MASK).any(axis=1).tolist() == [True, False, False]


# ---------------------------------------------------------------- dropout
def test_dropout_is_one_draw_for_all_steps() -> None:
    layer = SimpleRNN(4, activation=None, use_bias=False, dropout=0.5, return_sequences=True, seed=5)
    layer(X)
    layer.set_weights([np.eye(4), np.zeros((4, 4))])
    np.testing.assert_array_equal(layer(X), X)
    ratios = [layer(X, training=True) / X for _ in range(2)]
    for ratio in ratios:
        np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-6)
        assert set(np.round(ratio, 5).ravel().tolist()) == {0.0, 2.0}
    assert (ratios[0] != ratios[1]).any()
    again = SimpleRNN(4, activation=None, use_bias=False, dropout=0.5, return_sequences=True, seed=5)
    again(X)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(X, training=True), ratios[0] * X)


@pytest.mark.parametrize("cls", [SimpleRNN, LSTM, GRU])
def test_recurrent_dropout(cls: Any) -> None:
    """A rate of 1 leaves nothing of the state: the loop has no memory but for what the gates keep."""
    layer = cls(3, recurrent_dropout=0.5, dropout=0.25, seed=2)
    count = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}[cls.__name__]
    with nn.Forward() as forward:
        of_inputs, of_states = layer.cell.drawn((3, 4), True)
    assert (len(of_inputs), len(of_states)) == (count, count)
    assert len(forward.updates) == 1
    assert layer.cell.drawn((3, 4), False) == ([], [])
    assert np.isfinite(layer(X, training=True)).all()
    forgetful = SimpleRNN(3, recurrent_dropout=1.0)
    forgetful(X)
    np.testing.assert_allclose(forgetful(X, training=True), forgetful(X[:, -1:]), rtol=1e-6)


# ---------------------------------------------------------------- cells of one's own
class MinimalCell(Layer):
    """Keras's example, but for an output that is twice the state."""

    def __init__(self, units: int, counts: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.units = self.state_size = units
        self.counts = counts

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")
        self.recurrent_kernel = self.add_weight((self.units, self.units), name="recurrent_kernel")
        self.total = self.add_weight((), "zeros", trainable=False)

    def call(self, inputs: Any, states: Any) -> Any:
        h = inputs @ self.kernel + states[0] @ self.recurrent_kernel
        if self.counts:
            self.add_update(self.total, self.latest(self.total) + gc.sum(h))
        return 2 * h, [h]


def test_a_cell_of_ones_own() -> None:
    layer = RNN(MinimalCell(3), return_sequences=True, return_state=True)
    y, h = layer(X, mask=MASK)
    kernel, recurrent, _ = layer.get_weights()
    state = out = np.zeros((3, 3), "float32")
    for t in range(5):
        new, counts = X[:, t] @ kernel + state @ recurrent, MASK[:, t, None]
        out, state = np.where(counts, 2 * new, out), np.where(counts, new, state)
        np.testing.assert_allclose(y[:, t], out, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(h, state, rtol=1e-5, atol=1e-6)
    last = RNN([LSTMCell(2), MinimalCell(3)])
    assert last(X).shape == (3, 3)
    assert unpacked(packed(layer)).cell.units == 3
    with pytest.raises(ArgumentError, match="a step updates a variable"):
        RNN(MinimalCell(3, counts=True))(X)
    unrolled = RNN(MinimalCell(3, counts=True), unroll=True, return_sequences=True)
    total = unrolled(X).sum() / 2
    np.testing.assert_allclose(unrolled.weights[2].value, total, rtol=1e-5)


# ---------------------------------------------------------------- training
@pytest.mark.parametrize("cls", KINDS)
def test_a_layer_learns_to_remember(cls: Any) -> None:
    """The sign of the first step, told after four more."""
    rng = np.random.default_rng(1)
    nn.set_random_seed(3)
    x = rng.normal(size=(64, 5, 1)).astype("float32")
    t = (x[:, 0] > 0).astype("float32")
    layer, end = cls(8), Dense(1)
    a, b = gc.input("x", x.shape, "float32"), gc.input("t", t.shape, "float32")
    with nn.Forward(training=True):
        y = end(layer(a))
    loss = gc.mean(gc.binary_crossentropy(b, y, from_logits=True))
    weights = [*layer.trainable_weights, *end.trainable_weights]
    step = gc.compile([a, b], loss, updates={w: w - 1.0 * g for w, g in zip(weights, gc.grad(loss, weights), strict=True)})
    losses = [float(step(x, t)) for _ in range(150)]
    assert losses[0] > 0.5
    assert losses[-1] < 0.2


# ---------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda: LSTM(0), ArgumentError, "units"),
        (lambda: GRU(2, dropout=1.5), ArgumentError, "dropout is 1.5"),
        (lambda: RNN(Dense(2)), ArgumentError, "is no cell"),
        (lambda: RNN([LSTMCell(2), 3]), ArgumentError, "is no cell"),
        (lambda: LSTM(2)(X[0]), ShapeError, r"\(batch, steps, features\)"),
        (lambda: RNN(LSTMCell(2))(X[..., None]), ShapeError, r"\(batch, features\)"),
        (lambda: LSTM(2)(X, mask=MASK[:, :3]), ShapeError, "a mask of shape"),
        (lambda: LSTM(2)(X, initial_state=[X[:, 0, :2]]), ArgumentError, "1 first states"),
        (lambda: GRU(2)(X, initial_state=X[:, 0]), ShapeError, r"a first state of shape \(3, 4\)"),
        (lambda: LSTM(2, stateful=True)(nn.Input((3, 4))), ShapeError, "stateful"),
        (lambda: LSTM(2, unroll=True)(nn.Input((None, 4))), ArgumentError, "unroll"),
        (lambda: LSTM(2, activation="tanhh"), ArgumentError, "tanh"),
    ],
)
def test_errors(wrong: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        wrong()


def test_a_stateful_layer_refuses_another_batch() -> None:
    layer = LSTM(2, stateful=True)
    layer(X)
    with pytest.raises(ShapeError, match=r"a first state of shape \(3, 2\)"):
        layer(X[:2])
    with pytest.raises(ArgumentError, match="1 states"):
        layer.reset_state([np.zeros((3, 2))])
