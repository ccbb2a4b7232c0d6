"""Record what Keras's layers give, in layers.json beside this file. Run where Keras is: ``KERAS_BACKEND=numpy python make_layers.py``.

Inputs and weights are not recorded, but made of their shapes, by :func:`filled`, here and in the test. Keras computes with NumPy, which
is quick for what is small.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

VECTORS, STEPS, IMAGES, VOLUMES = (2, 6), (2, 5, 4), (2, 5, 6, 4), (1, 4, 3, 5, 4)
SPACES: dict[int, tuple[int, ...]] = {1: STEPS, 2: IMAGES, 3: VOLUMES}
FIRST = {"data_format": "channels_first"}


def filled(shape: tuple[int, ...], seed: int, *, positive: bool = False) -> np.ndarray[Any, Any]:
    """Numbers between -2 and 2, or between 0.5 and 1.5, that look like none in particular."""
    waves = np.sin(np.arange(1, int(np.prod(shape)) + 1) * 1.7 + seed * 0.9).reshape(shape)
    return (1 + waves / 2 if positive else 2 * waves).astype("float32")


def taken(shape: tuple[int, ...], seed: int, below: int | None) -> np.ndarray[Any, Any]:
    """An input: whole numbers below a number, or any."""
    return filled(shape, seed) if below is None else np.round(filled(shape, seed) * 99).astype("int32") % below


def told(y: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], float]:
    """Of an output 32 values at most, and a weighted sum of all."""
    return y.ravel()[:: y.size // 32 + 1], float(np.sum(y.astype("float64") * filled(y.shape, 5)))


def cases() -> Any:
    """Class, arguments, shapes of the inputs, whether in training, and what is masked."""
    yield "Dense", {"units": 3}, [VECTORS]
    yield "Dense", {"units": 2, "activation": "tanh", "use_bias": False}, [STEPS]
    for equation, shape, arguments in [
        ("abc,cd->abd", STEPS, {"output_shape": (None, 3), "bias_axes": "d"}),
        ("...x,xy->...y", STEPS, {"output_shape": 3, "bias_axes": "y", "activation": "relu"}),
        ("ab...,bc->ac...", STEPS, {"output_shape": (3,), "bias_axes": "c"}),
        ("abc,cde->abde", STEPS, {"output_shape": (None, 3, 2), "bias_axes": "de"}),
        ("abcd,cde->abe", IMAGES, {"output_shape": (5, 3)}),
        ("abc,cde->abde", STEPS, {"output_shape": (None, 3, 2), "bias_axes": "d"}),
    ]:
        yield "EinsumDense", {"equation": equation, **arguments}, [shape]
    for rank, shape in SPACES.items():
        yield from convolutions(rank, shape)
        yield from pools(rank, shape)
    yield "Conv1D", {"filters": 2, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, [STEPS]
    yield "Conv2D", {"filters": 2, "kernel_size": (1, 3), "strides": (2, 1), "padding": "same"}, [IMAGES]
    yield "Conv2D", {"filters": 2, "kernel_size": 2, "dilation_rate": (1, 2), "activation": "softmax"}, [IMAGES]
    for size in 3, 5:
        yield "GlobalAveragePooling1D", {"keepdims": size == 5}, [(2, 5, size)], {"mask": [[1, 0, 1, 1, 0], [1, 1, 0, 0, 0]]}
    yield from reshapings()
    yield from normalizations()
    yield from merges()
    yield from activations()
    for mask_value in 0.0, 0.5:
        yield "Masking", {"mask_value": mask_value}, [STEPS]
    yield "ActivityRegularization", {"l1": 0.1, "l2": 0.2}, [VECTORS]
    yield "Embedding", {"input_dim": 5, "output_dim": 3}, [STEPS], {"below": 5}
    yield "Embedding", {"input_dim": 4, "output_dim": 2, "mask_zero": True}, [VECTORS], {"below": 4}
    for name in "Dropout", "GaussianDropout", "GaussianNoise", "AlphaDropout":
        yield name, {"stddev" if name == "GaussianNoise" else "rate": 0.5}, [VECTORS]
    for rank, shape in SPACES.items():
        yield f"SpatialDropout{rank}D", {"rate": 0.5}, [shape]


def convolutions(rank: int, shape: tuple[int, ...]) -> Any:
    """The layers whose names end in a rank, and have that."""
    small = {"filters": 2, "kernel_size": 2}
    yield f"Conv{rank}D", small, [shape]
    yield f"Conv{rank}D", {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2, "groups": 2, "use_bias": False}, [shape]
    yield f"Conv{rank}D", {**small, "activation": "relu", **FIRST}, [shape]
    for padding, extra in [("valid", None), ("same", None), ("valid", 1), ("same", 1)]:
        arguments = {**small, "strides": 2, "padding": padding, "output_padding": extra}
        yield f"Conv{rank}DTranspose", arguments, [(1, *(2,) * rank, 2)]
    yield f"Conv{rank}DTranspose", {"filters": 2, "kernel_size": 3, "activation": "tanh", **FIRST}, [(1, 2, *(2,) * rank)]
    yield f"Conv{rank}DTranspose", {"filters": 1, "kernel_size": 3, "strides": 2, "padding": "same"}, [(1, *(3,) * rank, 2)]
    if rank < 3:
        yield f"DepthwiseConv{rank}D", {"kernel_size": 3, "depth_multiplier": 2, "padding": "same", "strides": 2}, [shape]
        yield f"DepthwiseConv{rank}D", {"kernel_size": 2, "activation": "relu", **FIRST}, [shape]
        yield f"SeparableConv{rank}D", {**small, "depth_multiplier": 2, "padding": "same"}, [shape]
        yield f"SeparableConv{rank}D", {**small, "use_bias": False, **FIRST}, [shape]


def pools(rank: int, shape: tuple[int, ...]) -> Any:
    """Of windows and of all."""
    for kind in "Max", "Average":
        yield f"{kind}Pooling{rank}D", {"pool_size": 2}, [shape]
        yield f"{kind}Pooling{rank}D", {"pool_size": 3, "strides": 2, "padding": "same"}, [shape]
        yield f"{kind}Pooling{rank}D", {"pool_size": 2, "strides": 1, **FIRST}, [shape]
        for arguments in {}, {"keepdims": True}, FIRST, {"keepdims": True, **FIRST}:
            yield f"Global{kind}Pooling{rank}D", arguments, [shape]


def reshapings() -> Any:
    """Layers that compute nothing, or next to nothing."""
    yield "Flatten", {}, [IMAGES]
    yield "Flatten", FIRST, [IMAGES]
    yield "Flatten", {}, [(3,)]
    for target in (3, 2), (-1, 2), (-1,), (6,), (1, 6, 1):
        yield "Reshape", {"target_shape": target}, [VECTORS]
    yield "Permute", {"dims": (2, 1)}, [STEPS]
    yield "Permute", {"dims": (3, 1, 2)}, [IMAGES]
    yield "RepeatVector", {"n": 3}, [VECTORS]
    yield "Rescaling", {"scale": 0.5, "offset": -1.0}, [VECTORS]
    yield "Rescaling", {"scale": 1 / 255}, [VECTORS], {"below": 256}
    yield "UpSampling1D", {"size": 3}, [STEPS]
    yield "UpSampling2D", {"size": (2, 3)}, [IMAGES]
    yield "UpSampling2D", FIRST, [IMAGES]
    yield "UpSampling2D", {"interpolation": "bilinear"}, [(1, 3, 2, 2)]
    yield "UpSampling2D", {"interpolation": "bilinear", "size": (3, 2), **FIRST}, [(1, 2, 2, 3)]
    yield "UpSampling2D", {"interpolation": "bicubic", "size": 2}, [(1, 4, 3, 1)]
    yield "UpSampling3D", {"size": (2, 1, 2)}, [VOLUMES]
    yield "UpSampling3D", FIRST, [VOLUMES]
    for padding in 2, (1, 0), (0, 2):
        yield "ZeroPadding1D", {"padding": padding}, [STEPS]
        yield "Cropping1D", {"cropping": padding}, [STEPS]
    for rank, shape in (2, IMAGES), (3, VOLUMES):
        each, both = list(range(rank)), [[0, i] for i in range(rank)]
        for name, argument in ("ZeroPadding", "padding"), ("Cropping", "cropping"):
            amounts = (1, each, both) if name == "ZeroPadding" or rank == 2 else (1, [[1, 1], [0, 1], [1, 2]])
            for amount in amounts:
                yield f"{name}{rank}D", {argument: amount}, [shape]
            yield f"{name}{rank}D", {argument: amounts[-1], **FIRST}, [shape]
    yield "ZeroPadding1D", {"padding": 1, **FIRST}, [STEPS]
    yield "Cropping2D", {}, [IMAGES]


def normalizations() -> Any:
    """In training and not; what is masked."""
    for training in False, True:
        yield "BatchNormalization", {}, [VECTORS], {"training": training}
        yield "BatchNormalization", {"axis": 1, "momentum": 0.8, "epsilon": 0.1}, [IMAGES], {"training": training}
        yield "BatchNormalization", {"center": False}, [IMAGES], {"training": training}
        yield "BatchNormalization", {"scale": False}, [STEPS], {"training": training}
        mask = [[1, 0, 1, 1, 0], [1, 1, 0, 0, 0]]
        yield "BatchNormalization", {}, [STEPS], {"training": training, "mask": mask}
    yield "BatchNormalization", {"trainable": False}, [VECTORS], {"training": True}
    for arguments in {}, {"axis": 1}, {"axis": [1, 2]}, {"axis": (-1, -3), "epsilon": 0.1}, {"center": False}, {"scale": False}:
        yield "LayerNormalization", arguments, [IMAGES]
    for arguments in {"groups": 2}, {"groups": 1, "axis": 1}, {"groups": -1}, {"groups": 4, "center": False, "scale": False}:
        yield "GroupNormalization", arguments, [IMAGES if arguments.get("axis") != 1 else STEPS]
    for arguments in {}, {"epsilon": 0.5}, {"axis": [1, 2], "epsilon": 0.1}:
        yield "RMSNormalization", arguments, [STEPS]
    for axis in -1, 1, (1, 2):
        yield "UnitNormalization", {"axis": axis}, [STEPS]


def merges() -> Any:
    """Of inputs that are alike, and that broadcast."""
    for name in "Add", "Multiply", "Average", "Maximum", "Minimum":
        yield name, {}, [STEPS, STEPS, STEPS]
        yield name, {}, [STEPS, (2, 4), (2, 1, 4)]
        yield name, {}, [STEPS, STEPS], {"mask": [[1, 0, 1, 1, 0], [1, 1, 0, 0, 0]], "masked": [True, True]}
        yield name, {}, [STEPS, STEPS], {"mask": [[1, 0, 1, 1, 0], [1, 1, 0, 0, 0]], "masked": [False, True]}
    yield "Subtract", {}, [VECTORS, VECTORS]
    yield "Concatenate", {}, [STEPS, (2, 5, 2)]
    yield "Concatenate", {"axis": 1}, [STEPS, (2, 3, 4), STEPS]
    yield "Dot", {"axes": 1}, [VECTORS, VECTORS]
    yield "Dot", {"axes": -1, "normalize": True}, [VECTORS, VECTORS]
    yield "Dot", {"axes": (1, 2)}, [(2, 3, 5), (2, 4, 3)]
    yield "Dot", {"axes": -1}, [(2, 3, 5), (2, 2, 5)]
    yield "Dot", {"axes": (2, 1)}, [(2, 3, 5), (2, 5)]
    yield "Dot", {"axes": (1, 3), "normalize": True}, [(2, 3), (2, 2, 2, 3)]


def activations() -> Any:
    """The layers of activation.py."""
    for activation in None, "relu", "softmax", "gelu":
        yield "Activation", {"activation": activation}, [STEPS]
    yield "Identity", {}, [STEPS]
    for axis in -1, 1, (1, 2):
        yield "Softmax", {"axis": axis}, [STEPS]
    yield "Softmax", {}, [(2, 5)], {"mask": [[1, 0, 1, 1, 0], [0, 0, 0, 0, 0]]}
    for arguments in {}, {"max_value": 1.0}, {"negative_slope": 0.2}, {"threshold": 0.5, "negative_slope": 0.1, "max_value": 1.5}:
        yield "ReLU", arguments, [VECTORS]
    yield "LeakyReLU", {}, [VECTORS]
    yield "LeakyReLU", {"negative_slope": 0.1}, [VECTORS]
    yield "PReLU", {}, [STEPS]
    yield "PReLU", {"shared_axes": [1]}, [STEPS]
    yield "ELU", {}, [VECTORS]
    yield "ELU", {"alpha": 0.5}, [VECTORS]


def recorded(name: str, arguments: dict[str, Any], shapes: list[tuple[int, ...]], more: dict[str, Any]) -> dict[str, Any]:
    """What Keras's layer gives for made-up inputs, with made-up weights, and its weights after that if they changed."""
    layer = getattr(keras.layers, name)(**arguments)
    xs = [taken(shape, seed, more.get("below")) for seed, shape in enumerate(shapes)]
    inputs = xs if len(xs) > 1 else xs[0]
    layer.build([x.shape for x in xs] if len(xs) > 1 else inputs.shape)
    weights = [filled(w.shape, i + 7, positive=w.name == "moving_variance") for i, w in enumerate(layer.weights)]
    layer.set_weights(weights)
    options: dict[str, Any] = {"training": more["training"]} if "training" in more else {}
    mask = np.array(more["mask"], bool) if "mask" in more else None
    if "masked" in more:
        inputs = [keras.ops.convert_to_tensor(x) for x in inputs]
        for x, masked in zip(inputs, more["masked"], strict=True):
            if masked:
                keras.src.backend.set_keras_mask(x, mask if x is inputs[0] else ~mask)
    elif mask is not None:
        options["mask"] = mask
    y = np.asarray(layer(inputs, **options))
    after = [np.asarray(w) for w in layer.get_weights()]
    case = {"class": name, "arguments": arguments, "shapes": shapes, **more, "weights": {w.name: w.shape for w in layer.weights}}
    some, whole = told(y)
    case["output"] = {"shape": y.shape, "values": np.round(some, 5).tolist(), "product": round(whole, 5)}
    if any((a != b).any() for a, b in zip(after, weights, strict=True)):
        case["after"] = [np.round(value, 6).tolist() for value in after]
    return case


def arguments_of(name: str) -> list[tuple[str, Any]]:
    """What a class takes, and its defaults, "needed" where it has none."""
    parameters = list(inspect.signature(getattr(keras.layers, name).__init__).parameters.values())[1:]
    return [(p.name, "needed" if p.default is p.empty else p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]


def main() -> None:
    """Write the file."""
    lines = [recorded(*case[:3], case[3] if len(case) > 3 else {}) for case in cases()]
    names = dict.fromkeys([*[line["class"] for line in lines], "Lambda"])
    arguments = ",\n".join([f"{json.dumps(name)}: {json.dumps(arguments_of(name))}" for name in names])
    text = ",\n".join([json.dumps(line) for line in lines])
    whole = f'{{"keras": "{keras.__version__}", "arguments": {{\n{arguments}\n}}, "cases": [\n{text}\n]}}\n'
    (Path(__file__).parent / "layers.json").write_text(whole)


if __name__ == "__main__":
    main()
