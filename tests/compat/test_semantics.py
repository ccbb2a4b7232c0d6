"""What cannot be seen by comparing with TensorFlow's text: graphs, layers, optimisers, memory, errors, randomness."""

from __future__ import annotations

import gc as collector
import threading
import weakref

import numpy as np
import pytest

import graphc as gc
import graphc.compat.tensorflow as tf
from graphc import nn
from graphc.compat.tensorflow.tape import _plan
from graphc.nn.layer import Layer


def test_a_tape_gives_a_graph_to_draw_and_compile() -> None:
    x, w, b = tf.constant([[1.0, 2.0]]), tf.Variable([[1.0], [3.0]], name="w"), tf.Variable([0.5], name="b")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(tf.matmul(x, w) + b))
    graph = tape.graph(loss)
    leaves = [node for node in gc.core.toposort([graph]) if node.op is None]
    assert [leaf.label for leaf in leaves if leaf.kind == "variable"] == ["w", "b"]
    (x_in,) = [leaf for leaf in leaves if leaf.kind == "input"]
    assert gc.compile([x_in], graph)(x.numpy()) == loss.numpy() == 56.25
    assert ">w<" in gc.draw(graph, wrt=[w.leaf, b.leaf]).svg
    value = gc.compile([x_in], gc.grad(graph, w.leaf))(x.numpy())
    np.testing.assert_array_equal(tape.gradient(loss, w).numpy(), value)


def test_the_nodes_of_sources_in_a_graph() -> None:
    t = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(t)
        y = 4.9 * t**2
    graph, (node,) = tape.graph(y, [t])
    assert gc.compile([node], [graph, gc.grad(graph, node)])(np.float32(2)) == pytest.approx([19.6, 19.6])


def test_values_read_before_an_assignment_stay() -> None:
    v = tf.Variable([1.0, 2.0])
    before, view = v.read_value(), v[0]
    array = v.numpy()
    v.assign([5.0, 6.0])
    v[1].assign(7.0)
    v.numpy()[:] = 0
    array[:] = 9
    assert (before.numpy().tolist(), float(view), v.numpy().tolist()) == ([1, 2], 1, [5, 7])


def test_values_stay_where_a_compiled_step_writes_the_variable() -> None:
    v = tf.Variable([1.0, 2.0])
    step = gc.compile([], v.leaf * 1, updates={v.leaf: v.leaf + 1})
    seen = [v.read_value()]
    for _ in range(3):
        step()
        seen.append(v.read_value())
    assert [x.numpy().tolist() for x in seen] == [[1, 2], [2, 3], [3, 4], [4, 5]]
    v.assign_add([1.0, 1.0])
    step()
    assert v.numpy().tolist() == [6, 7]


def test_a_tensor_does_not_change_with_the_array_it_came_from() -> None:
    array = np.ones(3, "float32")
    x = tf.constant(array)
    array[:] = 5
    assert x.numpy().tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[0] = 2


def test_one_structure_is_differentiated_once() -> None:
    v = tf.Variable([1.0, 2.0])
    _plan.cache_clear()
    for k in range(20):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(tf.exp(v * float(k)))
        np.testing.assert_allclose(tape.gradient(y, v).numpy(), k * np.exp(k * v.numpy()), rtol=1e-6)
        v.assign_sub([0.1, 0.1])
    assert _plan.cache_info().misses == 1


def test_a_tape_that_gave_its_gradient_holds_nothing() -> None:
    v = tf.Variable(np.ones(1000))
    with tf.GradientTape() as tape:
        y = tf.exp(v)
        held = weakref.ref(y)
        z = tf.reduce_sum(y * y)
    tape.gradient(z, v)
    del y
    collector.collect()
    assert held() is None


def test_tapes_of_threads_do_not_hear_each_other() -> None:
    v = tf.Variable(2.0)
    with tf.GradientTape(persistent=True) as tape:
        worker = threading.Thread(target=lambda: found.append(v * v))
        found: list[tf.Tensor] = []
        worker.start()
        worker.join()
        y = v * 3.0
    assert tape.gradient(found[0], v) is None
    assert tape.gradient(y, v) == 3


def test_the_cost_of_a_second_gradient_is_that_of_a_graph() -> None:
    x = tf.Variable(np.linspace(-1, 1, 5))
    with tf.GradientTape() as outer, tf.GradientTape() as inner:
        y = tf.reduce_sum(tf.math.log(1.0 + tf.exp(x)))
        first = inner.gradient(y, x)
    s = 1 / (1 + np.exp(-x.numpy()))
    np.testing.assert_allclose(first.numpy(), s, rtol=1e-12)
    np.testing.assert_allclose(outer.gradient(first, x).numpy(), s * (1 - s), rtol=1e-12)


# ---------------------------------------------------------------- graphc.nn
class SimpleDense(Layer):
    """The book's layer."""

    def __init__(self, units: int, activation: object = None) -> None:
        super().__init__()
        self.units, self.activation = units, activation

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.W = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, inputs: object) -> object:
        y = tf.matmul(inputs, self.W) + self.b
        return y if self.activation is None else self.activation(y)


def test_layers_are_differentiated_by_tapes() -> None:
    layer, x = SimpleDense(3, tf.nn.relu), np.array([[1.0, 2.0]], "float32")
    plain = layer(tf.constant(x))
    assert isinstance(plain, tf.Tensor)
    layer.b.assign(np.array([9.0, -9.0, 9.0], "float32"))
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(tf.constant(x)) * 2.0)
    dw, db = tape.gradient(y, layer.weights)
    assert db.numpy().tolist() == [2, 0, 2]
    assert dw.numpy().tolist() == [[2, 0, 2], [4, 0, 4]]
    assert isinstance(layer(x), np.ndarray)


def test_a_layer_may_own_a_variable() -> None:
    class Scale(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.steps = tf.Variable(2.0), tf.Variable(0, trainable=False)

        def call(self, x: object) -> object:
            self.steps.assign_add(1)
            return x * self.scale if isinstance(x, tf.Tensor) else tf.multiply(x, self.scale)

    layer = Scale()
    assert layer.weights[0] is layer.scale.leaf
    with tf.GradientTape() as tape:
        y = layer(tf.constant(5.0))
    assert (float(y), float(tape.gradient(y, layer.scale)), int(layer.steps)) == (10, 5, 1)

    class Wrong(Scale):
        def call(self, x: object) -> object:
            return x * self.scale

    with pytest.raises(gc.errors.DTypeError, match="would be a constant"):
        Wrong()(tf.constant(5.0))


def test_losses_are_differentiated_by_tapes() -> None:
    p = tf.Variable([[0.25, 0.75], [0.5, 0.5]])
    with tf.GradientTape(persistent=True) as tape:
        loss = tf.keras.losses.sparse_categorical_crossentropy(np.array([1, 0], "uint8"), p)
        total = tf.keras.losses.MeanSquaredError()(tf.constant([[0.0, 1.0], [1.0, 0.0]]), p)
    np.testing.assert_allclose(loss.numpy(), -np.log([0.75, 0.5]), rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(total, p).numpy(), (p.numpy() - [[0, 1], [1, 0]]) / 2, rtol=1e-6)
    expected = np.array([[0.25, 0.75], [0.5, 0.5]]) / [[0.25, 0.75], [0.5, 0.5]] - [[0, 1 / 0.75], [1 / 0.5, 0]]
    np.testing.assert_allclose(tape.gradient(loss, p).numpy(), expected, rtol=1e-5)


def test_optimizers_move_variables() -> None:
    v, w = tf.Variable([1.0, 2.0]), tf.Variable(3.0)
    sgd = tf.keras.optimizers.SGD(learning_rate=0.5)
    for _ in range(2):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(v * v) * w
        sgd.apply_gradients(zip(tape.gradient(y, [v, w]), [v, w], strict=True))
    reference_v, reference_w = np.array([1.0, 2.0]), 3.0
    for _ in range(2):
        reference_v, reference_w = reference_v - 0.5 * 2 * reference_v * reference_w, reference_w - 0.5 * (reference_v**2).sum()
    np.testing.assert_allclose(v.numpy(), reference_v)
    assert float(w) == pytest.approx(reference_w)


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "Adagrad", "AdamW"])
def test_optimizers_decay_and_scale_variables(name: str) -> None:
    v, leaf = tf.Variable([1.0, 2.0]), gc.variable(np.array([1.0, 2.0], "float32"))
    one, other = [getattr(tf.keras.optimizers, name)(learning_rate=0.1, weight_decay=0.1) for _ in range(2)]
    for _ in range(3):
        one.apply_gradients([(tf.constant([1.0, -1.0]), v)])
        other.apply_gradients([(np.array([1.0, -1.0], "float32"), leaf)])
    np.testing.assert_array_equal(v.numpy(), leaf.value)
    assert not np.allclose(v.numpy(), [1, 2])


# ---------------------------------------------------------------- randomness
def test_seeds() -> None:
    def draw() -> list[np.ndarray]:
        return [tf.random.normal((3,)).numpy(), tf.random.uniform((3,), 2, 5).numpy(), tf.random.uniform((3,), seed=1).numpy()]

    tf.random.set_seed(7)
    first, second = draw(), draw()
    tf.random.set_seed(7)
    again = draw()
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    a, b = tf.random.stateless_normal((4,), [1, 2]), tf.random.stateless_normal((4,), [1, 2])
    assert tf.reduce_all(a == b)


def test_distributions() -> None:
    tf.random.set_seed(0)
    x = tf.random.normal((20_000,), mean=2.0, stddev=3.0).numpy()
    assert (x.mean(), x.std()) == (pytest.approx(2, abs=0.1), pytest.approx(3, abs=0.1))
    u = tf.random.uniform((20_000,), 0, 0.1).numpy()
    assert u.min() >= 0
    assert u.max() <= 0.1
    assert u.mean() == pytest.approx(0.05, abs=0.002)
    n = tf.random.uniform((1000,), 0, 4, dtype=tf.int32).numpy()
    assert sorted(set(n.tolist())) == [0, 1, 2, 3]
    t = tf.random.truncated_normal((1000,)).numpy()
    assert np.abs(t).max() <= 2
    assert sorted(tf.random.shuffle([1, 2, 3]).numpy().tolist()) == [1, 2, 3]
    c = tf.random.categorical([[0.0, -100.0], [-100.0, 0.0]], 5).numpy()
    assert c.tolist() == [[0] * 5, [1] * 5]
    kept = tf.nn.dropout(tf.ones((1000,)), 0.5).numpy()
    assert set(kept.tolist()) == {0.0, 2.0}


# ---------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: tf.constant([1, 2]) * tf.constant([1.0, 2.0]), "int32 and float32 do not mix"),
        (lambda: tf.constant([1, 2]) * 0.5, "0.5 is no int32"),
        (lambda: tf.constant("a"), "not a tensor"),
        (lambda: tf.constant([[1, 2], [3]]), "lists of several lengths"),
        (lambda: tf.constant(300, tf.uint8), "does not fit into uint8"),
        (lambda: tf.constant(1.0).assign(2.0), "does not change"),
        (lambda: tf.Variable([1.0])[0].assign([1.0, 2.0]), "another shape"),
        (lambda: tf.matmul(tf.ones((2, 3)), tf.ones((2, 3))), "b: f32"),
        (lambda: tf.GradientTape().gradient(3.0, []), "the target is 3.0"),
        (lambda: tf.GradientTape().gradient(tf.constant(1.0), [], unconnected_gradients="none?"), "'none' or 'zero'"),
        (lambda: tf.GradientTape().stop_recording().__enter__(), "does not record"),
        (lambda: tf.add(1), "needs y"),
        (lambda: tf.reduce_sum([1.0], axes=0), "no argument 'axes'"),
        (lambda: tf.reduce_summ, "is 'reduce_sum' meant"),
        (lambda: tf.keras.optimisers, "fits: Input, Layer"),
        (lambda: tf.one_hot([1.5], 3), "indices"),
        (lambda: tf.constant([1.0, 2.0])[[0, 1]], "tf.gather"),
        (lambda: tf.Variable(1.0, shape=(2,)), "shape"),
        (lambda: tf.random.uniform((2,), dtype=tf.int32), "maxval"),
        (lambda: tf.reduce_any([1, 2]), "truth values"),
    ],
)
def test_errors_say_what_fits(wrong: object, words: str) -> None:
    with pytest.raises((gc.errors.GraphcError, AttributeError, TypeError)) as caught:
        wrong()
    assert words in str(caught.value)


def test_functions_build_graphs_of_nodes() -> None:
    x = gc.input("x", ("batch", 2))
    v = tf.Variable([[1.0], [1.0]])
    y = tf.reduce_mean(tf.nn.relu(tf.matmul(x, v) - 1.0), axis=0)
    assert isinstance(y, gc.Tensor)
    assert gc.compile([x], [y, gc.grad(gc.sum(y), v.leaf)])(np.ones((4, 2), "float32"))[1].tolist() == [[1], [1]]


def test_import_is_light_and_keras_is_graphc_nn() -> None:
    from graphc.compat.tensorflow.keras.datasets import mnist

    from graphc.compat.tensorflow import keras
    from graphc.compat.tensorflow.keras import layers

    assert layers is nn.layers
    assert tf.keras is keras
    assert mnist.load_data.__module__ == "graphc.nn.datasets.mnist"
    assert keras.models.Sequential is nn.Sequential
    assert {"layers", "models", "Sequential"} <= set(dir(keras))
