"""Attention: against sums in NumPy, masks, dropout, heads, any number of places. Keras's values are in test_keras_sequences.py."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import nn
from graphc.core.errors import ArgumentError, ShapeError
from graphc.nn.configured import packed, unpacked
from graphc.nn.layers import AdditiveAttention, Attention, Embedding, GroupedQueryAttention, GroupQueryAttention, MultiHeadAttention

RNG = np.random.default_rng(0)
Array = np.ndarray[Any, Any]
Q, V = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(2, 5, 6))
ALLOWED = RNG.random((2, 4, 5)) < 0.6
ALLOWED[0, 1] = False


def softmax(scores: Array, allowed: Any = True) -> Array:
    """Along the last axis, of what is allowed alone; 0 where nothing is."""
    allowed = np.broadcast_to(allowed, scores.shape)
    e = np.where(allowed, np.exp(scores - scores.max(axis=-1, keepdims=True)), 0)
    return e / np.maximum(e.sum(axis=-1, keepdims=True), 1e-300)


def heads(weights: list[Array], query: Array, value: Array, allowed: Any, groups: int = 1) -> tuple[Array, Array]:
    """Head by head."""
    wq, bq, wk, bk, wv, bv, wo, bo = weights
    y, weightings = np.zeros((*query.shape[:2], wo.shape[2])) + bo, []
    for head in range(wq.shape[1]):
        shared = head // groups
        q, k, v = query @ wq[:, head] + bq[head], value @ wk[:, shared] + bk[shared], value @ wv[:, shared] + bv[shared]
        weighting = softmax(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1]), allowed)
        weightings.append(weighting)
        y = y + weighting @ v @ wo[head]
    return y, np.stack(weightings, axis=1)


def with_weights(layer: Any, *xs: Array, **options: Any) -> list[Array]:
    """Random weights for a layer, which is built by a call."""
    layer(*xs, **options)
    weights = [np.random.default_rng(i).normal(size=w.shape) for i, w in enumerate(layer.weights)]
    layer.set_weights(weights)
    return weights


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({}, True),
        ({"attention_mask": ALLOWED}, ALLOWED),
        ({"attention_mask": ALLOWED[0]}, ALLOWED[0]),
        ({"use_causal_mask": True}, np.tri(4, 5, dtype=bool)),
        ({"use_causal_mask": True, "attention_mask": ALLOWED}, np.tri(4, 5, dtype=bool) & ALLOWED),
        ({"value_mask": ALLOWED[:, 0]}, ALLOWED[:, None, 0]),
        ({"query_mask": ALLOWED[:, :, 0], "value_mask": ALLOWED[:, 0]}, ALLOWED[:, None, 0] & ALLOWED[:, :, :1]),
    ],
)
@pytest.mark.parametrize("shared", [1, 2, None])
def test_heads(options: dict[str, Any], allowed: Any, shared: int | None) -> None:
    layer: Any = MultiHeadAttention(4, 3, dtype="float64") if shared is None else GroupedQueryAttention(3, 4, shared, dtype="float64")
    weights = with_weights(layer, Q, V)
    y, weighting = layer(Q, V, return_attention_scores=True, **options)
    wanted = heads(weights, Q, V, allowed, 1 if shared is None else 4 // shared)
    np.testing.assert_allclose(y, wanted[0], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(weighting, wanted[1], rtol=1e-10, atol=1e-12)


def test_a_mask_for_each_head() -> None:
    layer = MultiHeadAttention(2, 3, dtype="float64")
    with_weights(layer, Q, V)
    each = np.stack([ALLOWED, np.ones_like(ALLOWED)], axis=1)
    _, weighting = layer(Q, V, attention_mask=each, return_attention_scores=True)
    assert not weighting[~each].any()
    np.testing.assert_allclose(weighting[:, 1].sum(axis=-1), 1)


def test_weights() -> None:
    layer = MultiHeadAttention(2, 3, value_dim=5, use_gate=True, name="look")
    layer(Q, V)
    kernels = {"query": (3, 2, 3), "key": (6, 2, 3), "gate": (3, 2, 5), "value": (6, 2, 5), "attention_output": (2, 5, 3)}
    biases = {"query": (2, 3), "key": (2, 3), "gate": (2, 5), "value": (2, 5), "attention_output": (3,)}
    wanted = [(f"look/{name}/{kind}", of[name]) for name in kernels for kind, of in (("kernel", kernels), ("bias", biases))]
    assert [(w.label, w.shape) for w in layer.weights] == wanted
    assert (layer.get_weights()[0] != layer.get_weights()[2][:3]).any()
    assert GroupQueryAttention is GroupedQueryAttention


@pytest.mark.parametrize("axes", [None, 1, (2,), (1, 2)])
def test_attention_along_axes(axes: Any) -> None:
    """Axes that are not attended along are samples."""
    x = RNG.normal(size=(2, 3, 4, 5))
    layer = MultiHeadAttention(2, 3, attention_axes=axes, dtype="float64")
    weights = with_weights(layer, x, x)
    if axes == 1:
        wanted = (
            heads(weights, x.swapaxes(1, 2).reshape(8, 3, 5), x.swapaxes(1, 2).reshape(8, 3, 5), True)[0].reshape(2, 4, 3, 5).swapaxes(1, 2)
        )
    elif axes == (2,):
        wanted = heads(weights, x.reshape(6, 4, 5), x.reshape(6, 4, 5), True)[0].reshape(x.shape)
    else:
        wanted = heads(weights, x.reshape(2, 12, 5), x.reshape(2, 12, 5), True)[0].reshape(x.shape)
    np.testing.assert_allclose(layer(x, x), wanted, rtol=1e-10, atol=1e-10)


def test_one_function_for_any_number_of_places_on_both_backends() -> None:
    layers: list[Any] = [MultiHeadAttention(2, 3, sliding_window=2), GroupedQueryAttention(3, 4, 2), Attention(), AdditiveAttention()]
    x = gc.input("x", ("batch", "places", 3), "float32")
    with nn.Forward():
        ys = [layer(*([x, x] if len(layer_args(layer)) > 1 else [[x, x]]), use_causal_mask=True) for layer in layers]
    functions = [gc.compile(x, ys, backend=backend) for backend in ("numpy", "jax")]
    for part in Q.astype("float32"), Q[:1, :2].astype("float32"):
        for layer, y, other in zip(layers, *[f(part) for f in functions], strict=True):
            own = layer(*([part, part] if len(layer_args(layer)) > 1 else [[part, part]]), use_causal_mask=True)
            np.testing.assert_allclose(y, own, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(np.asarray(other), own, rtol=1e-4, atol=1e-5)


def layer_args(layer: Any) -> str:
    """Longer than one letter where query and value are two arguments."""
    return "i" if isinstance(layer, Attention) else "qv"


@pytest.mark.parametrize("cls", [Attention, AdditiveAttention])
def test_one_head(cls: Any) -> None:
    value, key = V, RNG.normal(size=(2, 5, 3))
    layer = cls(use_scale=True, dtype="float64")
    (scale,) = with_weights(layer, [Q, value, key])
    masks = [ALLOWED[:, :, 1], np.array([[1, 0, 1, 1, 0], [1, 1, 0, 0, 0]], bool)]
    y, weighting = layer([Q, value, key], mask=masks, return_attention_scores=True, use_causal_mask=True)
    sums = (scale * np.tanh(Q[:, :, None] + key[:, None])).sum(axis=-1)
    scores = scale * (Q @ key.swapaxes(1, 2)) if cls is Attention else sums
    wanted = softmax(scores, np.tri(4, 5, dtype=bool) & masks[1][:, None])
    np.testing.assert_allclose(weighting, wanted, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(y, np.where(masks[0][..., None], wanted @ value, 0), rtol=1e-6, atol=1e-8)


def test_masks_come_with_tensors_and_go_on() -> None:
    words = np.array([[3, 1, 2, 0], [4, 0, 0, 0]])
    with nn.Forward() as forward:
        x = Embedding(5, 3, mask_zero=True)(gc.constant(words))
        layer, other = MultiHeadAttention(2, 3), Attention()
        y, weighting = layer(x, x, return_attention_scores=True)
        z = other([x, x])
    assert forward.masks[y] is forward.masks[x]
    assert forward.masks[z] is forward.masks[x]
    assert weighting not in forward.masks
    given = gc.evaluate(weighting)
    assert (given > 0).tolist() == np.broadcast_to((words > 0)[:, None, :, None] & (words > 0)[:, None, None], given.shape).tolist()


def test_dropout() -> None:
    layer: Any = MultiHeadAttention(2, 3, dropout=0.5, seed=4)
    layer(Q, V)
    _, weighting = layer(Q, V, return_attention_scores=True)
    assert (layer(Q, V) != layer(Q, V, training=True)).any()
    np.testing.assert_allclose(weighting.sum(axis=-1), 1, rtol=1e-5)
    one = Attention(dropout=0.5, seed=4)
    assert set(
        np.round(
            one([Q, V[..., :3]], training=True, return_attention_scores=True)[1] / one([Q, V[..., :3]], return_attention_scores=True)[1], 4
        )
        .ravel()
        .tolist()
    ) == {0.0, 2.0}


@pytest.mark.parametrize(
    "layer",
    [
        MultiHeadAttention(2, 3, output_shape=4, kernel_initializer="he_normal", bias_regularizer="l2"),
        MultiHeadAttention(2, 3, attention_axes=(1,), use_gate=True, seed=3, dropout=0.1),
        GroupedQueryAttention(3, 4, 2, use_bias=False),
    ],
    ids=["multi", "gate", "grouped"],
)
def test_a_config_makes_the_layer_again(layer: Any) -> None:
    written = json.loads(json.dumps(packed(layer)))
    again = unpacked(written)
    assert packed(again) == written
    wanted = layer(Q, V)
    again(Q, V)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(Q, V), wanted)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda: MultiHeadAttention(0, 3), ArgumentError, "num_heads"),
        (lambda: MultiHeadAttention(2, -3), ArgumentError, "key_dim"),
        (lambda: MultiHeadAttention(2, 3, sliding_window=0), ArgumentError, "sliding_window"),
        (lambda: GroupedQueryAttention(3, 4, 3), ArgumentError, "4 heads with 3"),
        (lambda: Attention(score_mode="cosine"), ArgumentError, "score_mode"),
        (lambda: Attention(dropout=2), ArgumentError, "dropout"),
        (lambda: Attention()([Q]), ArgumentError, "1 inputs"),
        (lambda: MultiHeadAttention(2, 3)(Q, V, V[:, :3]), ShapeError, "a key of shape"),
        (lambda: MultiHeadAttention(2, 3)(Q, V, attention_mask=ALLOWED[0, 0]), ShapeError, "a mask of shape"),
        (lambda: MultiHeadAttention(2, 3, attention_axes=(1, 2))(Q[None], Q[None], use_causal_mask=True), ArgumentError, "masks of places"),
        (lambda: GroupedQueryAttention(3, 2, 1)(Q[None], Q[None]), ShapeError, "a query of shape"),
    ],
)
def test_errors(wrong: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        wrong()
