"""Models: Sequential, functional, subclassed; nested, shared, several inputs and outputs; summaries, configs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import nn
from graphc.core.errors import ArgumentError, ShapeError
from graphc.nn import Input, Model, Sequential
from graphc.nn.layers import Dense, Flatten
from graphc.nn.naming import reset_names

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4)).astype("float32")
Array = np.ndarray[Any, Any]


def dense(x: Array, layer: Any) -> Array:
    kernel, bias = layer.get_weights()
    return x @ kernel + bias


# ---------------------------------------------------------------- Sequential
def test_a_sequential_waits_for_its_first_data() -> None:
    model = Sequential([Dense(3, activation="relu"), Dense(2)])
    assert not model.built
    assert model.weights == []
    y = model(X)
    assert model.built
    hidden, last = model.layers
    np.testing.assert_allclose(y, dense(np.maximum(dense(X, hidden), 0), last), rtol=1e-5, atol=1e-6)
    assert (model.input_shape, model.output_shape) == ((None, 4), (None, 2))
    assert model(X[:2]).shape == (2, 2)


@pytest.mark.parametrize(
    "start",
    [
        lambda: Sequential([Input((4,)), Dense(3), Dense(2)]),
        lambda: Sequential([Dense(3, input_shape=(4,)), Dense(2)]),
        lambda: Sequential([Dense(3, input_dim=4), Dense(2)]),
        lambda: Sequential([Sequential([Input((4,)), Dense(3)]), Dense(2)]),
    ],
)
def test_a_sequential_that_knows_its_input(start: Any) -> None:
    model = start()
    assert model.built
    assert model.count_params() == 15 + 8
    assert model.output_shape == (None, 2)


def test_add_pop_and_build() -> None:
    model = Sequential(name="stack")
    model.add(Dense(3))
    model.add(Dense(2))
    model.build((None, 4))
    assert [layer.count_params() for layer in model.layers] == [15, 8]
    popped = model.pop()
    assert model.output_shape == (None, 3)
    model.add(popped)
    assert model.output_shape == (None, 2)
    assert model.get_layer(index=0) is model.layers[0]
    assert model.get_layer(popped.name) is popped
    with pytest.raises(ArgumentError, match="no layer 'other'"):
        model.get_layer("other")
    with pytest.raises(ArgumentError, match="index=7"):
        model.get_layer(index=7)


def test_bad_sequentials() -> None:
    with pytest.raises(ArgumentError, match="two layers have the name"):
        Sequential([Dense(1, name="a"), Dense(1, name="a")])
    with pytest.raises(ArgumentError, match="a layer"):
        Sequential([3])
    with pytest.raises(ArgumentError, match="Input after"):
        Sequential([Dense(1), Input((4,))])
    with pytest.raises(ArgumentError, match="no layer"):
        Sequential().pop()
    model = Sequential([Input((4,)), Dense(1)])
    with pytest.raises(ShapeError, match="is given"):
        model(np.ones((2, 5)))


# ---------------------------------------------------------------- functional
def test_several_inputs_and_outputs_and_operations_between() -> None:
    left, right = Input((4,), name="left"), Input((3,), name="right")
    shared = Dense(6, activation="relu")
    first, second = shared(left), Dense(6)(right)
    joined = gc.concatenate([first, second * 2.0], axis=-1)
    model = Model([left, right], {"a": Dense(1)(joined), "b": gc.sum(joined, axis=-1)})
    other = RNG.normal(size=(5, 3)).astype("float32")
    outputs = model([X, other])
    both = np.concatenate([np.maximum(dense(X, shared), 0), 2 * dense(other, model.layers[3])], axis=-1)
    np.testing.assert_allclose(outputs["b"], both.sum(-1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs["a"], dense(both, model.layers[-1]), rtol=1e-4, atol=1e-5)
    by_name = model.predict({"right": other, "left": X}, verbose=0)
    np.testing.assert_allclose(by_name["a"], outputs["a"], rtol=1e-5, atol=1e-6)
    assert model.output_names == ["a", "b"]
    assert [x.label for x in model.inputs] == ["left", "right"]


def test_a_shared_layer_has_one_set_of_weights() -> None:
    a, b, layer = Input((4,)), Input((4,)), Dense(2)
    model = Model([a, b], layer(a) - layer(b))
    assert len(model.weights) == 2
    np.testing.assert_allclose(model([X, X]), np.zeros((5, 2)), atol=1e-6)
    with pytest.raises(ArgumentError, match="2 calls"):
        layer.output  # noqa: B018


def test_a_model_is_a_layer() -> None:
    inner = Sequential([Dense(3), Dense(2)])
    x = Input((4,))
    model = Model(x, inner(inner.layers[0].name and x) * 2)
    np.testing.assert_allclose(model(X), 2 * inner(X), rtol=1e-5)
    assert model.layers[1] is inner
    assert len(model.weights) == 4
    inner.trainable = False
    assert model.trainable_weights == []


def test_features_of_a_layer_within() -> None:
    x = Input((4,))
    hidden = Dense(3, activation="relu")
    model = Model(x, Dense(2)(hidden(x)))
    features = Model(model.inputs, model.get_layer(hidden.name).output)
    np.testing.assert_allclose(features.predict(X, verbose=0), np.maximum(dense(X, hidden), 0), rtol=1e-5, atol=1e-6)


def test_training_of_a_call_is_remembered() -> None:
    class Counting(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.count = self.add_weight((), "zeros", trainable=False)

        def call(self, x: Any, training: bool = False) -> Any:
            if training:
                self.add_update(self.count, self.count + 1)
            return x

    for asked, counted in (({}, 1), ({"training": False}, 0)):
        x = Input((2,))
        layer = Counting()
        model = Model(x, layer(x, **asked))
        with nn.Forward(training=True) as forward:
            model(gc.input("x", ("batch", 2)))
        assert len([v for v in forward.updates if v is layer.count]) == counted


def test_sizes_that_a_call_brings() -> None:
    x = Input((None, 4), name="tokens")
    model = Model(x, gc.mean(gc.reshape(Dense(3)(x), (x.shape[0], x.shape[1], 3)), axis=1))
    for steps in (2, 7):
        assert model(np.ones((5, steps, 4))).shape == (5, 3)
        assert model.predict(np.ones((5, steps, 4)), verbose=0).shape == (5, 3)
    assert model.input_shape == (None, None, 4)
    outer = Input((6, 4))
    assert Model(outer, model(outer))(np.ones((2, 6, 4))).shape == (2, 3)


def test_the_rank_of_an_input_is_adjusted() -> None:
    model = Model(x := Input((1,)), Dense(2)(x))
    assert model(np.ones(3)).shape == (3, 2)
    vector = Model(y := Input(()), gc.reshape(y, (-1, 1)) * 2.0)
    assert vector(np.ones((3, 1))).shape == (3, 1)


def test_inputs_of_other_dtypes_are_cast() -> None:
    model = Model(x := Input((4,)), Dense(2)(x))
    np.testing.assert_allclose(model.predict(np.ones((2, 4), "uint8"), verbose=0), model(np.ones((2, 4))), rtol=1e-6)


def test_bad_functional_models() -> None:
    a, b = Input((4,), name="a"), Input((4,), name="b")
    with pytest.raises(ArgumentError, match="need the input 'b'"):
        Model(a, Dense(1)(a) + Dense(1)(b))
    with pytest.raises(ArgumentError, match="no input of a model"):
        Model(gc.input("x", ("batch", 4)), Dense(1)(a))
    with pytest.raises(ArgumentError, match="go together"):
        Model(a)
    with pytest.raises(ArgumentError, match="two layers have the name"):
        Model(a, Dense(1, name="d")(Dense(1, name="d")(a)))
    with pytest.raises(ArgumentError, match="no value for 'b'"):
        Model([a, b], Dense(1)(a) + Dense(1)(b))({"a": X})
    with pytest.raises(ArgumentError, match="1 inputs for 2"):
        Model([a, b], Dense(1)(a) + Dense(1)(b))([X])
    with pytest.raises(ArgumentError, match="shape"):
        Input()


# ---------------------------------------------------------------- subclasses
class Branching(Model):
    """Two ways, one of them in training alone."""

    def __init__(self, units: int = 3) -> None:
        super().__init__()
        self.first, self.rest = Dense(units, activation="relu"), [Dense(2), Dense(1)]

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.first(x)
        return self.rest[int(training)](x)


def test_a_subclass() -> None:
    model = Branching()
    assert model(X).shape == (5, 2)
    assert model(X, training=True).shape == (5, 1)
    assert [layer.name for layer in model.layers] == [model.first.name, *[layer.name for layer in model.rest]]
    assert model.get_config() == {"units": 3}
    assert Branching.from_config(model.get_config()).first.units == 3
    with pytest.raises(ArgumentError, match="not functional"):
        model.inputs  # noqa: B018
    other = Branching()
    other.build((None, 4))
    assert other.first.count_params() == 15


# ---------------------------------------------------------------- configs, summaries
def test_a_functional_config_makes_the_model_again() -> None:
    left, right = Input((8,), name="left"), Input((None, 4), name="right")
    shared = Dense(5, activation="relu")
    joined = gc.concatenate([shared(left), gc.reshape(Dense(5)(right), (-1, 5))[:3] * np.float32(2)], axis=0)
    inner = Sequential([Dense(3), Dense(2)])
    model = Model([left, right], {"o": inner(joined), "p": [shared(joined[..., None] * gc.constant(np.ones(8, "float32")))]}, name="pair")
    again = Model.from_config(json.loads(json.dumps(model.get_config())))
    assert again.name == "pair"
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    data = [RNG.normal(size=(6, 8)), RNG.normal(size=(6, 7, 4))]
    one, two = model(data), again(data)
    np.testing.assert_array_equal(one["o"], two["o"])
    np.testing.assert_array_equal(one["p"][0], two["p"][0])
    assert len(again.weights) == len(model.weights) == 8


def test_a_sequential_config_makes_the_model_again() -> None:
    for model in (Sequential([Input((4,)), Dense(3, "relu"), Flatten()]), Sequential([Dense(3)])):
        again = Sequential.from_config(json.loads(json.dumps(model.get_config())))
        assert again.get_config() == model.get_config()
        assert again.built == model.built


def test_what_a_config_cannot_hold() -> None:
    x = Input((4,))
    with pytest.raises(ArgumentError, match="belongs to none"):
        Model(x, x * gc.variable(2.0)).get_config()
    with pytest.raises(ArgumentError, match="without a form"):
        Model(x, gc.map(lambda row: row * 2, x)).get_config()


def test_summary() -> None:
    reset_names()
    model = Sequential([Input((784,)), Dense(512, activation="relu"), Dense(10, activation="softmax")])
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    (text,) = lines
    assert text.splitlines()[0] == 'Model: "sequential"'
    assert "│ dense (Dense)                   │ (None, 512)               │        401,920 │" in text
    assert text.splitlines()[-3:] == [
        " Total params: 407,050 (1.55 MB)",
        " Trainable params: 407,050 (1.55 MB)",
        " Non-trainable params: 0 (0.00 B)",
    ]
    assert max(map(len, text.splitlines())) == 80


def test_summary_of_other_models() -> None:
    lines: list[str] = []
    x = Input((4,), name="x")
    model = Model(x, Sequential([Dense(3), Dense(2, name="last")], name="inner")(x))
    model.summary(print_fn=lines.append, expand_nested=True, line_length=90)
    assert "└ last (Dense)" in lines[0]
    assert "x[0][0]" in lines[0]
    Branching().summary(print_fn=lines.append)
    assert "0 (unbuilt)" in lines[1]
    assert "?" in lines[1]
