"""Programs 9 and 10: a network, batches and descent by hand, then with an optimiser; 11: a linear classifier; 14: its graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
import graphc.compat.tensorflow as tf
from graphc.compat.tensorflow.keras import optimizers
from graphc.nn.datasets import point_clouds


class NaiveDense:
    def __init__(self, input_size: int, output_size: int, activation: Callable[..., Any]) -> None:
        self.activation = activation
        self.W = tf.Variable(tf.random.uniform((input_size, output_size), minval=0, maxval=1e-1))
        self.b = tf.Variable(tf.zeros((output_size,)))

    def __call__(self, inputs: Any) -> Any:
        return self.activation(tf.matmul(inputs, self.W) + self.b)

    @property
    def weights(self) -> list[Any]:
        return [self.W, self.b]


class NaiveSequential:
    def __init__(self, layers: list[Any]) -> None:
        self.layers = layers

    def __call__(self, inputs: Any) -> Any:
        x = inputs
        for layer in self.layers:
            x = layer(x)
        return x

    @property
    def weights(self) -> list[Any]:
        weights: list[Any] = []
        for layer in self.layers:
            weights += layer.weights
        return weights


class BatchGenerator:
    def __init__(self, images: Any, labels: Any, batch_size: int = 128) -> None:
        assert len(images) == len(labels)
        self.index, self.images, self.labels, self.batch_size = 0, images, labels, batch_size
        self.num_batches = math.ceil(len(images) / batch_size)

    def next(self) -> tuple[Any, Any]:
        images = self.images[self.index : self.index + self.batch_size]
        labels = self.labels[self.index : self.index + self.batch_size]
        self.index += self.batch_size
        return images, labels


def update_weights(gradients: list[Any], weights: list[Any]) -> None:
    for g, w in zip(gradients, weights, strict=True):
        w.assign_sub(g * 1e-3)


def with_optimizer(optimizer: Any) -> Callable[..., None]:
    def update(gradients: list[Any], weights: list[Any]) -> None:
        optimizer.apply_gradients(zip(gradients, weights, strict=True))

    return update


def one_training_step(model: Any, images_batch: Any, labels_batch: Any, update: Callable[..., None] = update_weights) -> Any:
    with tf.GradientTape() as tape:
        predictions = model(images_batch)
        per_sample_losses = tf.keras.losses.sparse_categorical_crossentropy(labels_batch, predictions)
        average_loss = tf.reduce_mean(per_sample_losses)
    gradients = tape.gradient(average_loss, model.weights)
    update(gradients, model.weights)
    return average_loss


def fit(model: Any, images: Any, labels: Any, epochs: int, update: Callable[..., None] = update_weights) -> list[float]:
    losses = []
    for _ in range(epochs):
        batches = BatchGenerator(images, labels, batch_size=128)
        losses += [float(one_training_step(model, *batches.next(), update)) for _ in range(batches.num_batches)]
    return losses


def network() -> NaiveSequential:
    tf.random.set_seed(0)
    return NaiveSequential([NaiveDense(28 * 28, 512, tf.nn.relu), NaiveDense(512, 10, tf.nn.softmax)])


@pytest.mark.slow
def test_9_descent_by_hand(mnist: Any) -> None:
    model = network()
    losses = fit(model, mnist.train_rows, mnist.train_labels, epochs=10)
    assert len(losses) == 4690
    assert losses[0] == pytest.approx(6, abs=1.5)
    assert losses[-1] == pytest.approx(0.73, abs=0.15)
    predictions = model(mnist.test_rows).numpy()
    matches = np.argmax(predictions, axis=1) == mnist.test_labels
    assert matches.mean() == pytest.approx(0.82, abs=0.03)


def test_10_an_optimizer_takes_the_same_steps(mnist: Any) -> None:
    one, other = network(), network()
    images, labels = mnist.train_rows[:1000], mnist.train_labels[:1000]
    by_hand = fit(one, images, labels, epochs=2)
    by_optimizer = fit(other, images, labels, epochs=2, update=with_optimizer(optimizers.SGD(learning_rate=1e-3)))
    np.testing.assert_allclose(by_optimizer, by_hand, rtol=1e-5)
    for w, v in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(w.numpy(), v.numpy(), rtol=1e-5, atol=1e-7)
    assert by_hand[-1] < by_hand[0]


def test_10_a_step_is_that_of_one_compiled_graph(mnist: Any) -> None:
    model = network()
    x, y = mnist.train_rows[:128], mnist.train_labels[:128]
    images, labels = gc.input("images", x.shape), gc.input("labels", y.shape, "uint8")
    (w1, b1), (w2, b2) = [[gc.variable(v.numpy()) for v in layer.weights] for layer in model.layers]
    p = gc.softmax(gc.relu(images @ w1 + b1) @ w2 + b2)
    loss = gc.mean(gc.sparse_categorical_crossentropy(labels, p))
    variables = [w1, b1, w2, b2]
    updates = {v: v - 1e-3 * g for v, g in zip(variables, gc.grad(loss, variables), strict=True)}
    step = gc.compile([images, labels], loss, updates=updates)
    for _ in range(3):
        assert float(one_training_step(model, x, y)) == pytest.approx(float(step(x, y)), rel=1e-5)
    for w, v in zip(model.weights, variables, strict=True):
        np.testing.assert_allclose(w.numpy(), v.value, rtol=1e-5, atol=1e-7)


# ---------------------------------------------------------------- 11
def test_11_a_linear_classifier() -> None:
    inputs, targets = point_clouds(1000, seed=1)
    tf.random.set_seed(0)
    W = tf.Variable(initial_value=tf.random.uniform(shape=(2, 1)))
    b = tf.Variable(initial_value=tf.zeros(shape=(1,)))

    def model(inputs: Any) -> Any:
        return tf.matmul(inputs, W) + b

    def square_loss(targets: Any, predictions: Any) -> Any:
        return tf.reduce_mean(tf.square(targets - predictions))

    def training_step(inputs: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = square_loss(targets, model(inputs))
        grad_loss_wrt_W, grad_loss_wrt_b = tape.gradient(loss, [W, b])
        W.assign_sub(grad_loss_wrt_W * 0.1)
        b.assign_sub(grad_loss_wrt_b * 0.1)
        return loss

    losses = [float(training_step(inputs, targets)) for _ in range(40)]
    assert losses[39] == pytest.approx(0.026, abs=0.004)
    predictions = model(inputs)
    assert np.mean((predictions.numpy() > 0.5) == targets) > 0.98
    # The line w1 x + w2 y + b = 0.5 separates the means.
    x = np.linspace(-1, 4, 100)
    line = -W[0] / W[1] * x + (0.5 - b) / W[1]
    assert line.shape == (100,)
    assert float(line[50]) == pytest.approx(x[50], abs=0.3)


# ---------------------------------------------------------------- 14
def test_14_the_graph_and_its_reverse() -> None:
    one, two = NaiveDense(4, 3, tf.nn.relu), NaiveDense(3, 2, tf.nn.softmax)
    x, y = tf.random.uniform((5, 4)), tf.one_hot([0, 1, 1, 0, 1], 2)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.keras.losses.categorical_crossentropy(y, two(one(x))))
    graph = tape.graph(loss)
    weights = [v.leaf for v in (*one.weights, *two.weights)]
    picture = gc.draw(graph, wrt=weights)
    assert picture.dot.count("style=dashed") + picture.dot.count('style="dashed"') > 0
    inputs = [node for node in gc.core.toposort([graph]) if node.kind == "input"]
    values = {node: x.numpy() if node.shape == (5, 4) else y.numpy() for node in inputs}
    expected = gc.evaluate(gc.grad(graph, weights), values)
    for ours, theirs in zip(tape.gradient(loss, [*one.weights, *two.weights]), expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=2e-5, atol=1e-7)
