"""The base of layers: weights, calls, what is registered in a call, masks, configs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import nn
from graphc.core.errors import ArgumentError, DTypeError, ShapeError
from graphc.nn.configured import packed, unpacked
from graphc.nn.layer import Layer
from graphc.nn.layers import Dense, Flatten
from graphc.nn.naming import reset_names

RNG = np.random.default_rng(0)


class SimpleDense(Layer):
    """The book's."""

    def __init__(self, units: int, activation: Any = None) -> None:
        super().__init__()
        self.units, self.activation = units, activation

    def build(self, input_shape: Any) -> None:
        _, features = input_shape
        self.W = self.add_weight(shape=(features, self.units), initializer="random_normal")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        y = gc.matmul(inputs, self.W) + self.b
        return y if self.activation is None else self.activation(y)


class Counting(Layer):
    """Counts calls in training, adds noise, and costs its sum."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seeds = nn.SeedGenerator(3)
        self.count = self.add_weight((), "zeros", trainable=False, name="count")

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            self.add_update(self.count, self.latest(self.count) + 1)
            x = x + gc.random.uniform(self.seeds.next(), x.shape)
            self.add_loss(x)
        return x


class Skip(Layer):
    """Masks what is 0; ``Seen`` tells which mask came."""

    supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return gc.not_equal(inputs, 0)

    def call(self, x: Any) -> Any:
        return x * 1.5


class Seen(Layer):
    def call(self, x: Any, mask: Any = None) -> Any:
        return gc.cast(mask, dtype="float32") if mask is not None else x * 0 - 1


def test_the_books_layer_on_data() -> None:
    layer = SimpleDense(32, activation=gc.relu)
    y = layer(np.ones((2, 784)))
    assert isinstance(y, np.ndarray)
    assert (y.shape, y.dtype.name) == ((2, 32), "float32")
    np.testing.assert_allclose(y, np.maximum(np.ones((2, 784), "float32") @ layer.W.value, 0), rtol=1e-5, atol=1e-6)
    assert [w.shape for w in layer.weights] == [(784, 32), (32,)]
    assert layer.count_params() == 784 * 32 + 32
    assert repr(layer) == f"<SimpleDense {layer.name}>"


def test_names_are_made_different() -> None:
    reset_names()
    assert [Dense(1).name, Dense(1).name, SimpleDense(1).name] == ["dense", "dense_1", "simple_dense"]


def test_a_layer_on_a_tensor_is_a_graph() -> None:
    x = gc.input("x", ("batch", 4))
    layer = Dense(3, activation="tanh")
    y = layer(x)
    assert isinstance(y, gc.Tensor)
    value = RNG.normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(
        gc.evaluate(y, {x: value}), np.tanh(value @ layer.kernel.value + layer.weights[1].value), rtol=1e-5, atol=1e-6
    )
    assert gc.grad(gc.sum(y), layer.kernel).shape == (4, 3)


@pytest.mark.parametrize("value", [[[1.0, 2.0]], np.ones((1, 2), "float64"), np.ones((1, 2), "uint8"), np.ones((1, 2), "float16")])
def test_values_of_any_kind(value: Any) -> None:
    assert Dense(3)(value).dtype == np.float32


def test_the_same_call_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphc.nn import layer as module

    made: list[int] = []
    compile = module.compile
    monkeypatch.setattr(module, "compile", lambda *given: made.append(1) or compile(*given))
    dense = Dense(2)
    for _ in range(3):
        dense(np.ones((1, 2)))
    assert len(made) == 1
    dense(np.ones((2, 2)))
    assert len(made) == 2


def test_updates_losses_and_keys_of_a_pass() -> None:
    layer, x = Counting(), gc.input("x", (2,))
    with nn.Forward(training=True) as forward:
        first, second = layer(x), layer(x)
    assert first is not second  # two calls draw two keys
    step = gc.compile(x, [first, second, *forward.losses], updates=forward.updates)
    a, b, *_ = step(np.zeros(2))
    assert not np.array_equal(a, b)
    assert layer.count.value == 2  # both calls count
    c, *_ = step(np.zeros(2))
    assert not np.array_equal(a, c)
    assert layer.count.value == 4
    np.testing.assert_array_equal(layer.seeds.state.value, [3, 4])


def test_a_call_on_values_updates_at_once() -> None:
    layer = Counting()
    assert np.all(layer(np.zeros(3)) == 0)
    assert layer.count.value == 0
    first, second = layer(np.zeros(3), training=True), layer(np.zeros(3), training=True)
    assert layer.count.value == 2
    assert not np.array_equal(first, second)


def test_training_is_passed_on_to_layers_within() -> None:
    class Outer(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Counting()

        def call(self, x: Any) -> Any:
            return self.inner(x)

    class Frozen(Outer):
        def call(self, x: Any) -> Any:
            return self.inner(x, training=False)

    for made, counted in ((Outer(), 1), (Frozen(), 0)):
        with nn.Forward(training=True) as forward:
            made(gc.input("x", (2,)))
        assert len([v for v in forward.updates if v is made.inner.count]) == counted


def test_add_update_refuses_another_type() -> None:
    class Wrong(Counting):
        def call(self, x: Any, training: bool = False) -> Any:
            self.add_update(self.count, x)
            return x

    with pytest.raises(ShapeError, match="another shape"):
        Wrong()(np.zeros(3))
    with pytest.raises(DTypeError), nn.Forward() as forward:
        forward.update(gc.variable(0.0), gc.constant(1))
    with pytest.raises(RuntimeError, match="call method"):
        Counting().add_loss(gc.constant(0.0))


def test_masks_go_from_layer_to_layer() -> None:
    x = gc.input("x", ("batch", 3))
    with nn.Forward():
        masked = Dense(3, kernel_initializer="ones")(Skip()(x))
        y, unseen = Seen()(masked), Seen()(Flatten()(masked))
    value = np.array([[0, 1, 2]], "float32")
    np.testing.assert_array_equal(gc.evaluate(y, {x: value}), [[0, 1, 1]])
    assert np.all(gc.evaluate(unseen, {x: value}) == -1) or Flatten.supports_masking


def test_a_mask_survives_a_cast() -> None:
    x = gc.input("x", ("batch", 3), dtype="float64")
    with nn.Forward():
        y = Seen(dtype="float32")(Skip(dtype="float64")(x))
    np.testing.assert_array_equal(gc.evaluate(y, {x: np.array([[0.0, 1, 2]])}), [[0, 1, 1]])


def test_trainable_and_the_order_of_weights() -> None:
    class Two(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.parts = [Dense(1), {"b": Dense(2)}]
            self.scale = gc.variable(1.0, "scale")
            self.state = self.add_weight((), "zeros", trainable=False, name="state")

        def call(self, x: Any) -> Any:
            return self.parts[1]["b"](self.parts[0](x)) * self.scale  # type: ignore[index]

    layer = Two()
    layer(np.ones((1, 3)))
    labels = [str(w.label).split("/")[-1] for w in layer.weights]
    assert labels == ["scale", "state", "kernel", "bias", "kernel", "bias"]
    assert len(layer.trainable_weights) == 5
    layer.trainable = False
    assert layer.trainable_weights == []
    assert [str(w.label).split("/")[-1] for w in layer.non_trainable_weights] == labels
    layer.parts[0].trainable = True  # type: ignore[union-attr]
    assert layer.trainable_weights == []
    layer.trainable = True
    assert len(layer.trainable_weights) == 5


def test_set_weights() -> None:
    one, two = Dense(2), Dense(2)
    x = RNG.normal(size=(3, 4)).astype("float32")
    one(x), two(x)
    two.set_weights(one.get_weights())
    np.testing.assert_array_equal(one(x), two(x))
    with pytest.raises(ArgumentError, match="1 values for 2 weights"):
        two.set_weights(one.get_weights()[:1])
    with pytest.raises(ShapeError, match="kernel"):
        two.set_weights([np.zeros((2, 2)), np.zeros(2)])
    with pytest.raises(ArgumentError, match="no weights yet"):
        Dense(2).count_params()


def test_weights_need_known_sizes() -> None:
    with pytest.raises(ShapeError, match="the weight 'variable'"):
        SimpleDense(2)(gc.input("x", ("batch", "features")))


def test_regularizers_are_losses() -> None:
    layer = Dense(2, kernel_regularizer="l2", activity_regularizer="l1")
    x = RNG.normal(size=(3, 4)).astype("float32")
    with nn.Forward() as forward:
        layer(gc.constant(x))
    kernel = layer.kernel.value
    np.testing.assert_allclose(gc.evaluate(layer.losses), [0.01 * np.sum(kernel**2)], rtol=1e-5)
    np.testing.assert_allclose(gc.evaluate(forward.losses), [0.01 * np.abs(x @ kernel).sum() / 3], rtol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        Dense(3, activation="relu", kernel_regularizer=nn.regularizers.L2(0.1), name="head", dtype="float64"),
        Flatten(),
        Dense(2, trainable=False),
    ],
)
def test_a_config_makes_the_layer_again(layer: Layer) -> None:
    again = unpacked(json.loads(json.dumps(packed(layer))))
    assert type(again) is type(layer)
    assert (again.name, again.trainable, again.dtype) == (layer.name, layer.trainable, layer.dtype)
    assert again.get_config() == layer.get_config()


def test_flatten() -> None:
    x = np.arange(12, dtype="float32").reshape(2, 2, 3)
    np.testing.assert_array_equal(Flatten()(x), x.reshape(2, 6))
    np.testing.assert_array_equal(Flatten("channels_first")(x), x.transpose(0, 2, 1).reshape(2, 6))
    assert Flatten()(np.zeros(4)).shape == (4, 1)
    assert Flatten()(gc.input("x", ("batch", "time", 3))).shape[1] == 3 * gc.input("t", ("time",)).shape[0]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Dense(0), "units is 0"),
        (lambda: Dense(3, activation="rellu"), "rellu"),
        (lambda: Flatten("middle"), "middle"),
        (lambda: Dense(1)(np.ones((2, 3)))[0].missing, "missing"),
    ],
)
def test_bad_arguments(make: Any, match: str) -> None:
    with pytest.raises((ArgumentError, AttributeError), match=match):
        make()


@pytest.mark.parametrize("name", sorted(nn.activations.TABLE))
def test_activations_compute_at_once_and_as_graphs(name: str) -> None:
    function = nn.activations.get(name)
    x = np.linspace(-2, 2, 8, dtype="float32").reshape(2, 4)
    graph = gc.evaluate(function(gc.constant(x)))
    assert graph.shape == ((2, 2) if name == "glu" else (2, 4))
    assert np.isfinite(graph).all()


def test_activations_have_keras_formulas() -> None:
    x = np.array([-2.0, -0.4, 0.0, 0.3, 0.7, 2.0], "float32")
    a = nn.activations
    np.testing.assert_allclose(
        a.relu(x, negative_slope=0.1, max_value=1.5, threshold=0.5), [-0.25, -0.09, -0.05, -0.02, 0.7, 1.5], rtol=1e-5
    )
    np.testing.assert_allclose(a.hard_shrink(x), [-2, 0, 0, 0, 0.7, 2], rtol=1e-6)
    np.testing.assert_allclose(a.soft_shrink(x), [-1.5, 0, 0, 0, 0.2, 1.5], rtol=1e-5)
    np.testing.assert_allclose(a.sparse_plus(x), [0, 0.09, 0.25, 0.4225, 0.7225, 2], rtol=1e-5)
    np.testing.assert_allclose(a.sparse_sigmoid(x), [0, 0.3, 0.5, 0.65, 0.85, 1], rtol=1e-5)
    np.testing.assert_allclose(a.squareplus(x), (x + np.sqrt(x**2 + 4)) / 2, rtol=1e-6)
    np.testing.assert_allclose(a.tanh_shrink(x), x - np.tanh(x), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(a.threshold(x, 0.5, 9.0), [9, 9, 9, 9, 0.7, 2], rtol=1e-6)
    np.testing.assert_allclose(a.glu(x), x[:3] / (1 + np.exp(-x[3:])), rtol=1e-6)


def test_seeds() -> None:
    nn.set_random_seed(7)
    first, numbers = Dense(3)(np.ones((1, 4))), np.random.random()  # noqa: NPY002
    nn.set_random_seed(7)
    np.testing.assert_array_equal(first, Dense(3)(np.ones((1, 4))))
    assert numbers == np.random.random()  # noqa: NPY002
    with pytest.raises(ArgumentError):
        nn.set_random_seed(-1)
    seeds = nn.SeedGenerator(1)
    assert not np.array_equal(gc.evaluate(seeds.next()), gc.evaluate(seeds.next()))
