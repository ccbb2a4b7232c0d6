"""Programs 1 and 5 to 8: data, NumPy's operations in loops and whole, slices, gradients, variables."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import graphc as gc
import graphc.compat.tensorflow as tf

Array = np.ndarray


# ---------------------------------------------------------------- 1
def test_1_the_data(mnist: Any) -> None:
    assert (mnist.train_images.ndim, mnist.train_images.shape, mnist.train_images.dtype) == (3, (60000, 28, 28), np.uint8)
    assert (mnist.test_images.shape, len(mnist.train_labels), len(mnist.test_labels)) == ((10000, 28, 28), 60000, 10000)
    assert mnist.train_labels.dtype == np.uint8
    assert mnist.train_labels[:3].tolist() == [5, 0, 4]
    assert mnist.train_labels[4] == 9
    mnist.train_images[0, 0, 0] = 0  # the arrays are the program's own


# ---------------------------------------------------------------- 5
def naive_relu(x: Array) -> Array:
    x = x.copy()
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] = max(x[i, j], 0)
    return x


def naive_add(x: Array, y: Array) -> Array:
    x = x.copy()
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] += y[i, j]
    return x


def naive_add_matrix_and_vector(x: Array, y: Array) -> Array:
    x = x.copy()
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] += y[j]
    return x


def naive_vector_product(x: Array, y: Array) -> float:
    z = 0.0
    for i in range(x.shape[0]):
        z += x[i] * y[i]
    return z


def naive_matrix_vector_product(x: Array, y: Array) -> Array:
    z = np.zeros(x.shape[0])
    for i in range(x.shape[0]):
        z[i] = naive_vector_product(x[i, :], y)
    return z


def naive_matrix_product(x: Array, y: Array) -> Array:
    z = np.zeros((x.shape[0], y.shape[1]))
    for i in range(x.shape[0]):
        for j in range(y.shape[1]):
            z[i, j] = naive_vector_product(x[i, :], y[:, j])
    return z


def test_5_loops_give_what_operations_give() -> None:
    random = np.random.default_rng(0)
    x, y, v = random.normal(size=(20, 10)), random.normal(size=(20, 10)), random.normal(size=10)
    pairs = [
        (naive_relu(x), tf.nn.relu(x)),
        (naive_add(x, y), tf.constant(x) + y),
        (naive_add_matrix_and_vector(x, v), tf.constant(x) + v),
        (naive_vector_product(v, x[0]), tf.tensordot(v, x[0], 1)),
        (naive_matrix_vector_product(x, v), tf.linalg.matvec(x, v)),
        (naive_matrix_product(x, y.T), tf.matmul(x, y.T)),
    ]
    for naive, ours in pairs:
        assert ours.dtype == tf.float64
        np.testing.assert_allclose(ours.numpy(), naive, rtol=1e-12)


def test_5_operations_are_faster_than_loops() -> None:
    random = np.random.default_rng(0)
    x, y = random.random((20, 100)), random.random((20, 100))
    a, b = gc.input("a", x.shape, "float64"), gc.input("b", x.shape, "float64")
    whole = gc.compile([a, b], gc.relu(a + b))
    whole(x, y)

    def loops() -> Array:
        return naive_relu(naive_add(x, y))

    def seconds(function: Any, times: int) -> float:
        began = time.thread_time()
        for _ in range(times):
            function()
        return (time.thread_time() - began) / times

    np.testing.assert_array_equal(loops(), whole(x, y))
    assert seconds(loops, 20) > 20 * seconds(lambda: whole(x, y), 100)  # 186 in the notes


# ---------------------------------------------------------------- 6
def test_6_broadcasting_and_shapes() -> None:
    random = np.random.default_rng(0)
    x, y = random.random((64, 3, 32, 10)), random.random((32, 10))
    z = tf.maximum(x, y)
    assert z.shape == (64, 3, 32, 10)
    np.testing.assert_array_equal(z.numpy(), np.maximum(x, y))
    small = tf.constant([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    assert tf.reshape(small, (6, 1)).numpy().tolist() == [[0], [1], [2], [3], [4], [5]]
    assert tf.reshape(small, (2, 3)).numpy().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tf.transpose(tf.zeros((300, 20))).shape == (20, 300)


def test_6_slices(mnist: Any) -> None:
    images = tf.constant(mnist.test_images)
    for slices in (np.s_[10:100], np.s_[10:100, :, :], np.s_[10:100, 0:28, 0:28], np.s_[:, 14:, 14:], np.s_[:, 7:-7, 7:-7]):
        np.testing.assert_array_equal(images[slices].numpy(), mnist.test_images[slices])
    for n in (0, 1, 78):
        np.testing.assert_array_equal(images[128 * n : 128 * (n + 1)].numpy(), mnist.test_images[128 * n : 128 * (n + 1)])


# ---------------------------------------------------------------- 7
def test_7_gradients() -> None:
    x = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        y = x**2 + 2 * x + 3
    assert float(tape.gradient(y, x)) == 2

    x = tf.Variable(tf.zeros((2, 2)))
    with tf.GradientTape() as tape:
        y = 2 * x + 3
    assert tape.gradient(y, x).numpy().tolist() == [[2, 2], [2, 2]]

    W = tf.Variable(tf.random.uniform((2, 2)))
    b = tf.Variable(tf.zeros((2,)))
    x = tf.random.uniform((2, 2))
    with tf.GradientTape() as tape:
        y = tf.matmul(x, W) + b
    grad_wrt_W, grad_wrt_b = tape.gradient(y, [W, b])
    assert grad_wrt_b.numpy().tolist() == [2, 2]
    np.testing.assert_allclose(grad_wrt_W.numpy(), x.numpy().T @ np.ones((2, 2)), rtol=1e-6)


# ---------------------------------------------------------------- 8
def test_8_constants_are_watched() -> None:
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.square(x)
    assert float(tape.gradient(y, x)) == 6


def test_8_acceleration() -> None:
    t = tf.Variable(0.0)
    with tf.GradientTape() as outer, tf.GradientTape() as inner:
        position = 4.9 * t**2
        speed = inner.gradient(position, t)
    assert float(outer.gradient(speed, t)) == pytest.approx(9.8)


def test_8_variables(capsys: pytest.CaptureFixture[str]) -> None:
    v = tf.Variable(initial_value=tf.random.normal(shape=(3, 1)))
    print(v)
    assert capsys.readouterr().out.startswith("<tf.Variable 'Variable:0' shape=(3, 1) dtype=float32, numpy=\narray([[")
    v.assign(tf.ones((3, 1)))
    v[0, 0].assign(3.0)
    assert v.numpy().tolist() == [[3], [1], [1]]
    v.assign_add(tf.ones((3, 1)))
    assert v.numpy().tolist() == [[4], [2], [2]]
    v.assign_sub(tf.ones((3, 1)))
    assert v.numpy().tolist() == [[3], [1], [1]]
    x = np.ones((2, 2))
    x[0, 0] = 0.0
    with pytest.raises(TypeError, match="item assignment"):
        tf.ones((2, 2))[0, 0] = 0.0


def test_8_mathematics() -> None:
    a = tf.ones((2, 2))
    b = tf.square(a) * 4
    c = tf.sqrt(b)
    d = b + c
    e = tf.matmul(a, b) * d
    assert e.numpy().tolist() == [[48, 48], [48, 48]]
