"""Record what Keras's recurrent layers and attention give, in recurrent.json.

Run where Keras is: ``KERAS_BACKEND=jax python make_recurrent.py``.
Inputs and weights are not recorded, but made of their shapes, by :func:`filled`, here and in the test. ``gradients`` are those of the sum
of each output times ``filled`` numbers, for each weight.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
from make_layers import filled

X, Y = (2, 4, 3), (2, 5, 2)
MASKS = {"end": [[1, 1, 1, 0], [1, 0, 0, 0]], "holes": [[0, 1, 0, 1], [1, 0, 1, 1]], "none": [[0, 0, 0, 0], [1, 1, 1, 1]]}
CELLS = ["SimpleRNNCell", "LSTMCell", "GRUCell", "StackedRNNCells"]
PLACES = {"query": [[1, 1, 1, 0], [1, 1, 1, 1]], "value": [[1, 0, 1, 1, 0], [1, 1, 0, 0, 0]]}


def layer(name: str, **arguments: Any) -> dict[str, Any]:
    """The class and the arguments of a layer."""
    return {"class": name, "arguments": arguments}


def recurrent() -> Any:
    """Layers and the arguments of their calls."""
    both = {"return_sequences": True, "return_state": True}
    for name in "SimpleRNN", "LSTM", "GRU":
        yield layer(name, units=2)
        yield layer(name, units=2, go_backwards=True, **both)
        yield layer(name, units=2, activation="relu", use_bias=False, return_sequences=True)
        for mask in MASKS.values():
            yield layer(name, units=2, **both), {"mask": mask}
        yield layer(name, units=2, go_backwards=True, **both), {"mask": MASKS["holes"]}
        yield layer(name, units=2, return_sequences=True, zero_output_for_mask=True), {"mask": MASKS["holes"]}
        yield layer(name, units=2, return_sequences=True), {"states": 2 if name == "LSTM" else 1, "mask": MASKS["holes"]}
        yield layer("Bidirectional", layer=layer(name, units=2, **both)), {"mask": MASKS["holes"]}
        yield layer("RNN", cell=layer(f"{name}Cell", units=2))
    yield layer("GRU", units=2, reset_after=False, recurrent_activation="hard_sigmoid", return_sequences=True)
    yield layer("LSTM", units=2, unroll=True, unit_forget_bias=False)
    yield layer("RNN", cell=[layer("LSTMCell", units=2), layer("GRUCell", units=3)], **both), {"mask": MASKS["end"]}
    yield layer("RNN", cell=[layer("SimpleRNNCell", units=2), layer("LSTMCell", units=2)], go_backwards=True, return_sequences=True)
    for mode in "sum", "mul", "ave", "concat", None:
        yield layer("Bidirectional", layer=layer("LSTM", units=2), merge_mode=mode)
        yield layer("Bidirectional", layer=layer("GRU", units=2, return_sequences=True), merge_mode=mode)
    yield layer("TimeDistributed", layer=layer("Dense", units=2))
    yield layer("TimeDistributed", layer=layer("GRU", units=2)), {"shapes": [(2, 3, 4, 2)]}


def attention() -> Any:
    """Layers of two or three inputs."""
    two, three, same = {"shapes": [X, Y]}, {"shapes": [X, Y, (2, 5, 4)]}, {"shapes": [X, (2, 5, 3)]}
    heads = {"num_heads": 2, "key_dim": 3, "dropout": 0.1}
    yield layer("MultiHeadAttention", num_heads=2, key_dim=3), two
    yield layer("MultiHeadAttention", **heads), {**three, "return_attention_scores": True}
    yield layer("MultiHeadAttention", **heads, value_dim=2, use_bias=False, output_shape=4), {**two, "use_causal_mask": True}
    yield layer("MultiHeadAttention", **heads, use_gate=True, sliding_window=2), two
    yield layer("MultiHeadAttention", **heads), {**two, "masks": {"query": PLACES["query"]}, "return_attention_scores": True}
    allowed = (filled((2, 4, 5), 3) > 0).astype(int).tolist()
    yield layer("MultiHeadAttention", **heads), {**two, "attention_mask": allowed, "use_causal_mask": True}
    yield layer("MultiHeadAttention", **heads), {"shapes": [(2, 2, 3, 4), (2, 3, 2, 4)]}
    yield layer("MultiHeadAttention", **heads, attention_axes=2), {"shapes": [(2, 2, 3, 4), (2, 2, 5, 4)]}
    for shared in 1, 2, 4:
        arguments = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": shared, "dropout": 0.1}
        yield layer("GroupQueryAttention", **arguments, use_gate=shared == 2), {**same, "use_causal_mask": shared == 4}
    for arguments in {}, {"use_scale": True}, {"score_mode": "concat"}, {"use_scale": True, "score_mode": "concat"}:
        yield layer("Attention", **arguments), same
    for name in "Attention", "AdditiveAttention":
        yield layer(name), {"shapes": [X, (2, 5, 6), (2, 5, 3)]}
        yield layer(name), {**same, "use_causal_mask": True, "return_attention_scores": True}
        yield layer(name, use_scale=name == "Attention"), {**same, "masks": PLACES, "use_causal_mask": True}


def made(spec: Any) -> Any:
    """The layer of a description, which may stand in lists and in arguments."""
    if isinstance(spec, list):
        return [made(one) for one in spec]
    if not isinstance(spec, dict):
        return spec
    return getattr(keras.layers, spec["class"])(**{name: made(value) for name, value in spec["arguments"].items()})


def called(one: Any, xs: list[Any], more: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """How the layer is called on its inputs."""
    options = {name: more[name] for name in ("return_attention_scores", "use_causal_mask") if name in more}
    if "mask" in more:
        options["mask"] = np.array(more["mask"], bool)
    if "attention_mask" in more:
        options["attention_mask"] = np.array(more["attention_mask"], bool)
    if "states" in more:
        options["initial_state"] = [filled((2, 2), 5 + i) for i in range(more["states"])]
    masks = {name: np.array(mask, bool) for name, mask in more.get("masks", {}).items()}
    if isinstance(one, keras.layers.Attention):
        return [xs], {**options, "mask": list(masks.values())} if masks else options
    if masks:
        # Keras reads the mask of the query from the tensor alone.
        xs[0] = keras.ops.convert_to_tensor(xs[0])
        keras.src.backend.set_keras_mask(xs[0], masks["query"])
    return xs, options


def recorded(spec: dict[str, Any], more: dict[str, Any] = {}) -> dict[str, Any]:  # noqa: B006  (it is only read)
    """The outputs and the gradients."""
    one = made(spec)
    xs = [filled(shape, seed) for seed, shape in enumerate(more.get("shapes", [X]))]
    args, options = called(one, xs, more)
    symbols = [keras.Input(batch_shape=x.shape) for x in xs]
    one(symbols if isinstance(one, keras.layers.Attention) else symbols[0], *([] if len(args) == 1 else symbols[1:]))
    weights = [filled(w.shape, i + 7) / 2 for i, w in enumerate(one.weights)]
    one.set_weights(weights)

    def total(values: list[Any]) -> Any:
        outputs, _ = one.stateless_call(values, [v.value for v in one.non_trainable_variables], *args, **options)
        ys = jax.tree.leaves(outputs)
        return sum((y * filled(y.shape, i + 3)).sum() for i, y in enumerate(ys)), ys

    (_, ys), gradients = jax.jit(jax.value_and_grad(total, has_aux=True))([w.value for w in one.trainable_variables])
    return {
        **spec,
        **more,
        "weights": [[w.name, list(w.shape)] for w in one.weights],
        "outputs": [{"shape": y.shape, "values": rounded(y)} for y in ys],
        "gradients": [rounded(g) for g in gradients],
    }


def rounded(x: Any) -> list[float]:
    """Its numbers with six digits."""
    return [float(f"{v:.6g}") for v in np.asarray(x).ravel()]


def arguments_of(name: str) -> list[tuple[str, Any]]:
    """The names and defaults of the arguments of a class."""
    parameters = list(inspect.signature(getattr(keras.layers, name).__init__).parameters.values())[1:]
    needed = inspect.Parameter.empty
    return [(p.name, "needed" if p.default is needed else p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]


def main() -> None:
    """Write the file."""
    cases = [recorded(*case) if isinstance(case, tuple) else recorded(case) for case in [*recurrent(), *attention()]]
    names = [*CELLS, *{case["class"]: None for case in cases}]
    arguments = ",\n".join([f"{json.dumps(name)}: {json.dumps(arguments_of(name))}" for name in names])
    text = ",\n".join([json.dumps(case) for case in cases])
    whole = f'{{"keras": "{keras.__version__}", "arguments": {{\n{arguments}\n}}, "cases": [\n{text}\n]}}\n'
    (Path(__file__).parent / "recurrent.json").write_text(whole)


if __name__ == "__main__":
    main()
