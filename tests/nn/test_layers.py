"""Every layer of the package: values and weights as Keras has them, on both backends, with any batch, and made again by config."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import nn
from graphc.core.errors import ArgumentError, GraphcError, ShapeError
from graphc.nn import layers
from graphc.nn.configured import packed, unpacked

HERE = Path(__file__).parent / "reference"
RECORDED: dict[str, Any] = json.loads((HERE / "layers.json").read_text())
CASES: list[dict[str, Any]] = RECORDED["cases"]
FIRST_CASE = {case["class"]: number for number, case in reversed(list(enumerate(CASES)))}
IDS = [f"{i}-{case['class']}" for i, case in enumerate(CASES)]
OTHERS = {"Lambda"}
"""What is tested below."""
NOT_HERE = {"lora_rank", "lora_alpha", "quantization_config", "gptq_unpacked_column_size"}
NOT_HERE |= {"renorm", "renorm_clipping", "renorm_momentum", "synchronized"}  # the last ones of batch normalisation, from renorm on
MORE_DEFAULTS = {("AveragePooling1D", "pool_size"), ("AveragePooling2D", "pool_size"), ("AveragePooling3D", "pool_size")}
RNG = np.random.default_rng(0)
Array = np.ndarray[Any, Any]


def filled(shape: Any, seed: int, *, positive: bool = False) -> Array:
    """As in make_layers.py."""
    waves = np.sin(np.arange(1, int(np.prod(shape)) + 1) * 1.7 + seed * 0.9).reshape(shape)
    return (1 + waves / 2 if positive else 2 * waves).astype("float32")


def taken(shape: Any, seed: int, below: int | None) -> Array:
    """As in make_layers.py."""
    return filled(shape, seed) if below is None else np.round(filled(shape, seed) * 99).astype("int32") % below


def made(case: dict[str, Any]) -> Any:
    return getattr(layers, case["class"])(**case["arguments"])


def called(case: dict[str, Any], layer: Any, xs: list[Any], masks: list[Any]) -> tuple[Any, nn.Forward]:
    """The layer on inputs with these masks, each None or one."""
    with nn.Forward(training=case.get("training", False)) as forward:
        for x, mask in zip(xs, masks, strict=True):
            if mask is not None:
                forward.masks[x] = gc.constant(mask)
        return layer(xs if len(xs) > 1 else xs[0]), forward


def masks_of(case: dict[str, Any]) -> list[Any]:
    if "mask" not in case:
        return [None] * len(case["shapes"])
    mask = np.array(case["mask"], bool)
    return [part if on else None for part, on in zip((mask, ~mask), case.get("masked", [True]), strict=False)]


def set_up(case: dict[str, Any], layer: Any) -> None:
    """The layer built, with the weights that Keras's had."""
    shapes = [tuple(shape) for shape in case["shapes"]]
    layer.build(shapes if len(shapes) > 1 else shapes[0])
    layer.built = True
    assert {record.name: list(record.variable.shape) for record in layer.weight_records()} == case["weights"]
    layer.set_weights([filled(shape, i + 7, positive=name == "moving_variance") for i, (name, shape) in enumerate(case["weights"].items())])


def graph(number: int) -> tuple[list[Any], list[Array], Any, dict[Any, Any]]:
    """Inputs with a batch of any size (if they need not be one), values for them, the output, and updates."""
    case = CASES[number]
    arrays = [taken(shape, seed, case.get("below")) for seed, shape in enumerate(case["shapes"])]
    layer = made(case)
    set_up(case, layer)
    named = "mask" not in case
    xs = [gc.input(f"x{number}_{i}", (f"batch{number}" if named else len(a), *a.shape[1:]), a.dtype) for i, a in enumerate(arrays)]
    y, forward = called(case, layer, xs, masks_of(case))
    return xs, arrays, y, forward.updates


def check(case: dict[str, Any], y: Any) -> None:
    wanted = case["output"]
    assert list(y.shape) == wanted["shape"]
    np.testing.assert_allclose(y.ravel()[:: y.size // 32 + 1], wanted["values"], rtol=2e-5, atol=3e-5)
    whole = np.sum(y.astype("float64") * filled(y.shape, 5))
    np.testing.assert_allclose(whole, wanted["product"], rtol=1e-5, atol=1e-5 * np.sum(abs(y)) + 1e-5)


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_values_are_those_of_keras(number: int) -> None:
    xs, arrays, y, updates = graph(number)
    if "mask" not in CASES[number]:
        assert "batch" in str(y.shape[0])
    function = gc.compile(xs, y, updates=updates)
    check(CASES[number], function(*arrays))
    after = CASES[number].get("after")
    assert bool(updates) == bool(after)
    if after:
        moving = list(updates)
        for variable, wanted in zip(moving, after[-len(moving) :], strict=True):
            np.testing.assert_allclose(variable.value, wanted, rtol=1e-5, atol=2e-6)


@cache
def on_jax() -> dict[str, Array]:
    """The output of the first case of each class; they are one program."""
    graphs = [graph(number) for number in FIRST_CASE.values()]
    function = gc.compile([x for xs, *_ in graphs for x in xs], [y for _, _, y, _ in graphs], backend="jax")
    values = function(*[array for _, arrays, *_ in graphs for array in arrays])
    return {name: np.asarray(y) for name, y in zip(FIRST_CASE, values, strict=True)}


@pytest.mark.parametrize("name", FIRST_CASE)
def test_jax_gives_the_same(name: str) -> None:
    check(CASES[FIRST_CASE[name]], on_jax()[name])


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_a_config_makes_the_layer_again(number: int) -> None:
    case = CASES[number]
    layer = made(case)
    written = json.loads(json.dumps(packed(layer)))
    again = unpacked(written)
    assert packed(again) == written
    assert again.name == layer.name
    set_up(case, again)
    arrays = [taken(shape, seed, case.get("below")) for seed, shape in enumerate(case["shapes"])]
    xs = [gc.input(f"x{i}", a.shape, a.dtype) for i, a in enumerate(arrays)]
    y, _ = called(case, again, xs, masks_of(case))
    check(case, gc.evaluate(y, dict(zip(xs, arrays, strict=True))))


MODULES = ["activation", "convolution", "dense", "embedding", "merging", "normalization", "pooling", "regularization", "reshaping"]
CLASSES = [
    name
    for name in layers.__all__
    if inspect.isclass(getattr(layers, name)) and getattr(layers, name).__module__.rpartition(".")[2] in MODULES and name not in OTHERS
]


@pytest.mark.parametrize("name", [*CLASSES, "Lambda"])
def test_arguments_are_those_of_keras(name: str) -> None:
    cls = getattr(layers, name)
    own = [p for p in list(inspect.signature(cls.__init__).parameters.values())[1:] if p.kind is p.POSITIONAL_OR_KEYWORD]
    theirs = [pair for pair in RECORDED["arguments"][cls.__name__] if pair[0] not in NOT_HERE]
    options = ["name", "dtype"]  # they are last, and by name, where a layer has no place for them
    assert [p.name for p in own if p.name not in options] == [argument for argument, _ in theirs if argument not in options]
    for parameter, (argument, default) in zip(own, theirs, strict=False):
        if (cls.__name__, argument) not in MORE_DEFAULTS:
            assert one_number(parameter.default) == one_number(default)


def one_number(default: Any) -> Any:
    """A default in one form: 1 for (1, 1), and for ((1, 1), (1, 1)); small letters; "needed" for none."""
    if isinstance(default, list | tuple):
        parts = {str(one_number(part)) for part in default}
        return int(parts.pop()) if len(parts) == 1 else default
    return "needed" if default is inspect.Parameter.empty else default.lower() if isinstance(default, str) else default


def test_no_layer_is_left_out() -> None:
    assert {getattr(layers, name).__name__ for name in CLASSES} <= {case["class"] for case in CASES}


@pytest.mark.parametrize("name", FIRST_CASE)
def test_no_samples(name: str) -> None:
    xs, arrays, y, _ = graph(FIRST_CASE[name])
    shape = CASES[FIRST_CASE[name]]["output"]["shape"]
    assert gc.compile(xs, y)(*[array[:0] for array in arrays]).shape == (0, *shape[1:])


@pytest.mark.parametrize("name", [name for name in FIRST_CASE if "below" not in CASES[FIRST_CASE[name]]])
def test_gradients(name: str) -> None:
    """For inputs and weights, against differences."""
    case = CASES[FIRST_CASE[name]]
    layer = getattr(layers, name)(**case["arguments"], dtype="float64")
    set_up(case, layer)
    arrays = [filled(shape, seed) for seed, shape in enumerate(case["shapes"])]
    xs = [gc.input(f"x{i}", a.shape, "float64") for i, a in enumerate(arrays)]
    y, _ = called(case, layer, xs, masks_of(case))
    assert gc.check_gradient(y, [*xs, *layer.weights], at=dict(zip(xs, arrays, strict=True)))


# ---------------------------------------------------------------- masks
MASK = np.array([[True, True, False], [True, False, False]])


def masked(layer: Any, *shapes: Any, masks: Any = (MASK,)) -> Any:
    """The mask of the output for inputs of these shapes, or None."""
    xs = [gc.input(f"x{i}", shape, "float32") for i, shape in enumerate(shapes)]
    with nn.Forward() as forward:
        for x, mask in zip(xs, masks, strict=False):
            if mask is not None:
                forward.masks[x] = gc.constant(mask)
        y = layer(xs if len(xs) > 1 else xs[0])
        mask = forward.masks.get(y)
    arrays = {x: filled([int(size) for size in x.shape], i) for i, x in enumerate(xs)}
    return None if mask is None else gc.evaluate(mask, arrays)


PASSED_ON = [
    *[layers.Dense(2), layers.Activation("relu"), layers.Identity(), layers.Softmax(), layers.ReLU(), layers.LeakyReLU(), layers.PReLU()],
    *[layers.ELU(), layers.Rescaling(2.0), layers.BatchNormalization(), layers.LayerNormalization(), layers.GroupNormalization(2)],
    *[layers.UnitNormalization(), layers.Dropout(0.5), layers.SpatialDropout1D(0.5), layers.GaussianDropout(0.5)],
    *[layers.GaussianNoise(0.5), layers.AlphaDropout(0.5), layers.ActivityRegularization(0.1)],
]


@pytest.mark.parametrize("layer", PASSED_ON, ids=lambda layer: layer.name)
def test_masks_are_passed_on(layer: Any) -> None:
    shape = (2, 3) if isinstance(layer, layers.Softmax) else (2, 3, 4)  # whose masks say which elements count
    assert masked(layer, shape).tolist() == MASK.tolist()


@pytest.mark.parametrize("layer", [layers.Conv1D(2, 2), layers.Flatten(), layers.Reshape((-1,)), layers.GlobalAveragePooling1D()])
def test_masks_end_where_steps_do(layer: Any) -> None:
    assert masked(layer, (2, 3, 4)) is None


def test_masks_begin() -> None:
    x = np.array([[[1.0, 0], [0, 0]], [[0, 2], [0, 3]]], "float32")
    value = gc.input("x", x.shape)
    with nn.Forward() as forward:
        y = layers.Masking()(value)
        mask = forward.masks[y]
    assert gc.evaluate(mask, {value: x}).tolist() == [[True, False], [True, True]]
    tokens = gc.input("tokens", (2, 3), "int32")
    with nn.Forward() as forward:
        mask = forward.masks[layers.Embedding(5, 2, mask_zero=True)(tokens)]
    given = np.array([[1, 0, 2], [0, 0, 4]], "int32")
    assert gc.evaluate(mask, {tokens: given}).tolist() == (given != 0).tolist()


@pytest.mark.parametrize(
    ("layer", "masks", "wanted"),
    [
        (layers.Add(), (MASK, ~MASK), np.ones((2, 3), bool)),
        (layers.Multiply(), (MASK, MASK), MASK),
        (layers.Average(), (MASK, None), None),
        (layers.Concatenate(), (MASK, MASK), MASK),
        (layers.Concatenate(axis=1), (MASK, None), np.concatenate([MASK, np.ones((2, 3), bool)], axis=1)),
        (layers.Concatenate(), (None, None), None),
        (layers.Dot(-1), (MASK, MASK), None),
    ],
)
def test_masks_of_several_inputs(layer: Any, masks: Any, wanted: Any) -> None:
    found = masked(layer, (2, 3, 4), (2, 3, 4), masks=masks)
    assert found is None if wanted is None else found.tolist() == wanted.tolist()


# ---------------------------------------------------------------- noise
X = np.linspace(0.5, 2, 60 * 80, dtype="float32").reshape(60, 10, 8)
NOISY = [
    layers.Dropout(0.25, seed=1),
    layers.Dropout(0.25, noise_shape=(None, 1, None), seed=1),
    layers.SpatialDropout1D(0.25, 1),
    layers.GaussianDropout(0.25, 1),
    layers.GaussianNoise(0.25, 1),
    layers.AlphaDropout(0.25, None, 1),
]


@pytest.mark.parametrize("layer", NOISY, ids=lambda layer: layer.name)
def test_noise_is_in_training_alone_and_the_same_on_both_backends(layer: Any) -> None:
    x = gc.input("x", ("batch", 10, 8))
    assert layer(x) is x
    start = layer.seed_generator.state.value
    outputs: list[list[Array]] = []
    for backend in "numpy", "jax":
        layer.seed_generator.state.assign(start)
        with nn.Forward(training=True) as forward:
            y = layer(x)
        step = gc.compile(x, y, updates=forward.updates, backend=backend)
        outputs.append([np.asarray(step(X)) for _ in range(2)])
    for a, b in zip(*outputs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    assert (outputs[0][0] != outputs[0][1]).any()
    assert layer.seed_generator.state.value.tolist() == [start[0], start[1] + 2]


def trained(layer: Any, x: Array) -> Array:
    return layer(x, training=True)


def test_dropout_drops_and_scales() -> None:
    y = trained(layers.Dropout(0.25, seed=1), X)
    kept = y != 0
    np.testing.assert_allclose(y[kept], (X / np.float32(0.75))[kept], rtol=1e-6)
    assert abs(kept.mean() - 0.75) < 0.03
    assert not trained(layers.Dropout(1.0), X).any()
    assert (trained(layers.Dropout(0.0), X) == X).all()


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (layers.SpatialDropout1D(0.5, seed=2), (6, 5, 8), (1,)),
        (layers.SpatialDropout2D(0.5, seed=2), (6, 3, 4, 8), (1, 2)),
        (layers.SpatialDropout2D(0.5, "channels_first", 2), (6, 8, 3, 4), (2, 3)),
        (layers.SpatialDropout3D(0.5, seed=2), (6, 2, 3, 2, 8), (1, 2, 3)),
        (layers.Dropout(0.5, noise_shape=(6, 1, 8), seed=2), (6, 5, 8), (1,)),
        (layers.AlphaDropout(0.5, noise_shape=(None, 1, None), seed=2), (6, 5, 8), (1,)),
    ],
)
def test_whole_channels_are_dropped(layer: Any, shape: Any, axes: Any) -> None:
    y = trained(layer, np.ones(shape, "float32"))
    assert (y.min(axes) == y.max(axes)).all()
    assert len(np.unique(y)) == 2


def test_moments_of_noise() -> None:
    x = np.ones((200, 200), "float32")
    y = trained(layers.GaussianDropout(0.2, seed=3), x)
    np.testing.assert_allclose([y.mean(), y.std()], [1, 0.5], atol=0.01)
    y = trained(layers.GaussianNoise(0.3, seed=3), x)
    np.testing.assert_allclose([y.mean(), y.std()], [1, 0.3], atol=0.01)
    y = trained(layers.AlphaDropout(0.3, seed=3), RNG.normal(size=(300, 300)).astype("float32"))
    np.testing.assert_allclose([y.mean(), y.std()], [0, 1], atol=0.02)


# ---------------------------------------------------------------- what is not in Keras's values
def test_batch_normalization_in_training_and_after() -> None:
    layer, x = layers.BatchNormalization(momentum=0.5, name="bn"), RNG.normal(3, 2, (64, 5)).astype("float32")
    y = trained(layer, x)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(0), 1, atol=1e-3)
    for _ in range(30):
        trained(layer, x)
    np.testing.assert_allclose(layer.moving_mean.value, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.value, x.var(0), rtol=1e-5)
    np.testing.assert_allclose(layer(x), y, atol=1e-4)
    assert [w.label for w in layer.trainable_weights] == ["bn/gamma", "bn/beta"]
    assert [w.label for w in layer.non_trainable_weights] == ["bn/moving_mean", "bn/moving_variance"]
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_allclose(trained(layer, x + 9), layer(x + 9))
    assert all((a == b).all() for a, b in zip(before, layer.get_weights(), strict=True))


def test_batch_normalization_called_twice_in_a_step() -> None:
    layer, x = layers.BatchNormalization(momentum=0.5), gc.input("x", (4, 2))
    with nn.Forward(training=True) as forward:
        y = layer(x) + layer(x * 2)
    value = filled((4, 2), 1)
    gc.compile(x, y, updates=forward.updates)(value)
    np.testing.assert_allclose(layer.moving_mean.value, value.mean(0) * 1.25, rtol=1e-5)


def test_gradients_of_batch_normalization_in_training() -> None:
    layer, a = layers.BatchNormalization(axis=1, dtype="float64"), filled((3, 2, 4), 1).astype("float64")
    x, way = gc.input("x", a.shape, "float64"), gc.constant(filled(a.shape, 2), "float64")
    with nn.Forward(training=True):
        y = layer(x)
    assert gc.check_gradient(y * way, [x, layer.gamma, layer.beta], at={x: a})


def test_the_half_precision_of_a_layer() -> None:
    x = RNG.normal(300, 5, (64, 4))
    y = trained(layers.BatchNormalization(dtype="float16"), x)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, (x - x.mean(0)) / x.std(0), atol=0.1)
    assert layers.LayerNormalization(dtype="float16")(x).dtype == np.float16


def test_embedding() -> None:
    table = filled((5, 3), 1)
    layer = layers.Embedding(5, 3, weights=[table])
    given = np.array([[0, 4], [1, 1]])
    np.testing.assert_array_equal(layer(given), table[given])
    np.testing.assert_array_equal(layer(np.array([[0.0, 4.7]])), table[[[0, 4]]])
    assert layers.Embedding(5, 3, input_length=2)(given).shape == (2, 2, 3)


@nn.register
def doubled(x: Any, by: float = 2.0, training: bool = False) -> Any:
    return x * by if training else x


def test_lambda() -> None:
    x = filled((2, 3), 0)
    np.testing.assert_allclose(layers.Lambda(lambda t: gc.square(t) + 1)(x), x * x + 1, rtol=1e-6)
    layer = layers.Lambda(doubled, arguments={"by": 3.0})
    np.testing.assert_allclose(layer(x, training=True), x * 3, rtol=1e-6)
    again = unpacked(json.loads(json.dumps(packed(layer))))
    np.testing.assert_allclose(again(x, training=True), x * 3, rtol=1e-6)
    with pytest.raises(ArgumentError, match="function cannot be written down"):
        layers.Lambda(lambda t: t).get_config()
    assert (
        masked(layers.Lambda(lambda t, mask: gc.cast(mask, dtype="float32"), mask=lambda _, mask: mask), (2, 3, 4)).tolist()
        == MASK.tolist()
    )


def test_activity_regularization() -> None:
    x = gc.input("x", (2, 3))
    with nn.Forward() as forward:
        layers.ActivityRegularization(0.1, 0.2)(x)
    value = filled((2, 3), 0)
    np.testing.assert_allclose(gc.evaluate(forward.losses[0], {x: value}), (0.1 * abs(value).sum() + 0.2 * (value**2).sum()) / 2, rtol=1e-5)


def test_regularizers_and_constraints_of_weights() -> None:
    layer = layers.Conv1D(2, 2, kernel_regularizer="l2", bias_constraint="non_neg")
    layer(filled((1, 4, 3), 0))
    kernel, bias = layer.weight_records()
    assert (type(kernel.regularizer).__name__, type(bias.constraint).__name__) == ("L2", "NonNeg")
    assert (kernel.constraint, bias.regularizer) == (None, None)
    np.testing.assert_allclose(gc.evaluate(layer.losses[0]), 0.01 * (layer.kernel.value**2).sum(), rtol=1e-5)


def test_functions_are_layers() -> None:
    a, b = filled((2, 3), 0), filled((2, 3), 1)
    pairs: list[tuple[Callable[..., Any], Array]] = [
        (layers.add, a + b),
        (layers.subtract, a - b),
        (layers.multiply, a * b),
        (layers.average, (a + b) / 2),
        (layers.maximum, np.maximum(a, b)),
        (layers.minimum, np.minimum(a, b)),
        (layers.concatenate, np.concatenate([a, b], -1)),
        (layers.dot, (a * b).sum(-1, keepdims=True)),
    ]
    for function, wanted in pairs:
        np.testing.assert_allclose(function([a, b]), wanted, rtol=1e-5, atol=1e-6)
    x, y = nn.Input((3,)), nn.Input((3,))
    model = nn.Model([x, y], layers.add([x, layers.Dense(3, kernel_initializer="identity")(y)], name="sum"))
    np.testing.assert_allclose(model([a, b]), a + b, rtol=1e-5)


def test_a_network_of_them_in_both_styles() -> None:
    stack = [
        *[layers.Rescaling(0.5), layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()],
        *[layers.MaxPooling2D(), layers.SpatialDropout2D(0.2), layers.Flatten(), layers.Dense(3, activation="softmax")],
    ]
    x = filled((2, 6, 6, 1), 0)
    y = nn.Sequential(stack)(x)
    image = z = nn.Input((6, 6, 1))
    for layer in stack:
        z = layer(z)
    np.testing.assert_allclose(nn.Model(image, z)(x), y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-5)


def test_sizes_that_are_known_later() -> None:
    x = gc.input("x", ("batch", "steps", 4))
    value = filled((2, 7, 4), 0)
    stack = [
        layers.Conv1D(4, 3, padding="same"),
        layers.ZeroPadding1D(2),
        layers.Cropping1D((1, 2)),
        layers.UpSampling1D(2),
        layers.Dense(3),
    ]
    y = x
    for layer in stack:
        y = layer(y)
    assert gc.evaluate(layers.GlobalMaxPooling1D()(y), {x: value}).shape == (2, 3)
    assert gc.evaluate(layers.Reshape((-1, 2))(x), {x: value}).shape == (2, 14, 2)
    assert gc.evaluate(layers.Flatten()(x), {x: value}).shape == (2, 28)


# ---------------------------------------------------------------- errors
WRONG: list[tuple[str, Callable[[], Any]]] = [
    ("units is 0", lambda: layers.Dense(0)),
    ("units is 2.5", lambda: layers.Dense(2.5)),  # type: ignore[arg-type]
    ("Conv2D: filters is -1", lambda: layers.Conv2D(-1, 3)),
    ("Conv2D: kernel_size is .3, 3, 3.", lambda: layers.Conv2D(2, (3, 3, 3))),
    ("Conv2D: padding is 'causal'", lambda: layers.Conv2D(2, 3, padding="causal")),
    ("Conv1D: padding is 'full'", lambda: layers.Conv1D(2, 3, padding="full")),
    ("Conv1D: data_format is 'NCW'", lambda: layers.Conv1D(2, 3, data_format="NCW")),
    ("Conv1D: 3 filters in 2 groups", lambda: layers.Conv1D(3, 3, groups=2)),
    ("output_padding is 2", lambda: layers.Conv2DTranspose(2, 3, strides=2, output_padding=2)),
    ("depth_multiplier is 0", lambda: layers.DepthwiseConv2D(3, depth_multiplier=0)),
    ("pool_size is 0", lambda: layers.MaxPooling1D(0)),
    ("MaxPooling2D: padding is 'causal'", lambda: layers.MaxPooling2D(padding="causal")),
    ("interpolation is 'lanczos3'", lambda: layers.UpSampling2D(interpolation="lanczos3")),
    ("ZeroPadding2D: padding is .1, 2, 3.", lambda: layers.ZeroPadding2D((1, 2, 3))),
    ("ZeroPadding1D: padding is -1", lambda: layers.ZeroPadding1D(-1)),
    ("target_shape is .-1, -1.", lambda: layers.Reshape((-1, -1))),
    ("dims is .1, 3.", lambda: layers.Permute((1, 3))),
    ("Dropout: rate is 1.5", lambda: layers.Dropout(1.5)),
    ("AlphaDropout: rate is 1", lambda: layers.AlphaDropout(1)),
    ("GaussianDropout: rate is 1", lambda: layers.GaussianDropout(1.0)),
    ("stddev is -1", lambda: layers.GaussianNoise(-1)),
    ("momentum is 2", lambda: layers.BatchNormalization(momentum=2)),
    ("groups is 0", lambda: layers.GroupNormalization(0)),
    ("max_value is -1", lambda: layers.ReLU(max_value=-1)),
    ("negative_slope is None", lambda: layers.LeakyReLU(None)),  # type: ignore[arg-type]
    ("input_dim is 0", lambda: layers.Embedding(0, 2)),
    ("function is 'x'", lambda: layers.Lambda("x")),  # type: ignore[arg-type]
    ("axes is 0", lambda: layers.Dot(0)),
    ("equation is 'ab->b'", lambda: layers.EinsumDense("ab->b", 2)),
    ("bias_axes is 'z'", lambda: layers.EinsumDense("ab,bc->ac", 2, bias_axes="z")),
    ("there is no activation 'rleu'", lambda: layers.Activation("rleu")),
]


@pytest.mark.parametrize(("message", "make"), WRONG, ids=[message for message, _ in WRONG])
def test_arguments_that_are_none(message: str, make: Callable[[], Any]) -> None:
    with pytest.raises(ArgumentError, match=message) as error:
        make()
    assert error.value.fits


UNFIT: list[tuple[Callable[[], Any], Any]] = [
    (lambda: layers.Conv2D(2, 3), (2, 5, 5)),
    (lambda: layers.Conv2D(2, 3, groups=2), (2, 5, 5, 3)),
    (lambda: layers.Conv1D(2, 6), (2, 5, 3)),
    (lambda: layers.MaxPooling2D(), (2, 5, 5)),
    (lambda: layers.MaxPooling1D(6), (2, 5, 3)),
    (lambda: layers.GlobalMaxPooling1D(), (2, 5)),
    (lambda: layers.UpSampling2D(), (2, 5, 5)),
    (lambda: layers.ZeroPadding1D(), (2, 5)),
    (lambda: layers.Cropping1D((2, 3)), (2, 5, 3)),
    (lambda: layers.Reshape((4,)), (2, 5)),
    (lambda: layers.Reshape((-1, 4)), (2, 5)),
    (lambda: layers.Permute((2, 1)), (2, 5)),
    (lambda: layers.RepeatVector(2), (2, 5, 3)),
    (lambda: layers.BatchNormalization(axis=3), (2, 5)),
    (lambda: layers.LayerNormalization(axis=2), (2, 5)),
    (lambda: layers.GroupNormalization(3), (2, 5)),
    (lambda: layers.Dropout(0.5, noise_shape=(None, 1)), (2, 5, 3)),
    (lambda: layers.Dropout(0.5, noise_shape=(2, 4)), (2, 5)),
    (lambda: layers.SpatialDropout1D(0.5), (2, 5)),
    (lambda: layers.EinsumDense("abc,cd->abd", (None, 3)), (2, 5)),
    (lambda: layers.EinsumDense("abc,cd->abd", 3), (2, 5, 4)),
    (lambda: layers.EinsumDense("abc,cd->abd", (4, 3)), (2, 5, 4)),
    (lambda: layers.Add(), (2, 5)),
]


@pytest.mark.parametrize(("make", "shape"), UNFIT, ids=lambda value: str(value) if isinstance(value, tuple) else "")
def test_inputs_that_do_not_fit(make: Callable[[], Any], shape: Any) -> None:
    with pytest.raises(GraphcError) as error:
        make()(np.ones(shape, "float32"), training=True)
    assert error.value.fits


def test_inputs_of_several_that_do_not_fit() -> None:
    a, b = np.ones((2, 3), "float32"), np.ones((2, 4), "float32")
    for layer, inputs in (layers.Dot(1), [a, b]), (layers.Dot(2), [a, a]), (layers.Subtract(), [a, a, a]), (layers.Add(), [a, b]):
        with pytest.raises(GraphcError):
            layer(inputs)
    x, mask = gc.input("x", (2, 3)), gc.constant(np.ones((2, 3, 1), bool))
    with pytest.raises(ShapeError, match="a mask of shape"), nn.Forward(training=True):
        layers.BatchNormalization()(x, mask=mask)
    with pytest.raises(ShapeError, match="a mask of shape"):
        layers.Softmax()(x, mask=mask)
