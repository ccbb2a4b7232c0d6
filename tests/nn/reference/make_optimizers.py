"""Record what Keras's optimisers do, in optimizers.json beside this file.

Run where Keras and PyTorch are: ``KERAS_BACKEND=torch python make_optimizers.py``. It computes in float64, which Keras's NumPy backend
leaves for float32 where it multiplies by a Python number.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import optimizers
from keras.optimizers import schedules

STEPS = 100
RECORDED = (1, 10, 100)
SHAPES = {"kernel": (4, 3), "tall/embedding": (2, 3), "bias": (3,)}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    ("RMSprop", {}),
    ("RMSprop", {"learning_rate": 0.01, "rho": 0.8, "epsilon": 0.01}),
    ("RMSprop", {"learning_rate": 0.01, "momentum": 0.9, "centered": True}),
    ("Adagrad", {"learning_rate": 0.1}),
    ("Adagrad", {"initial_accumulator_value": 0.5, "epsilon": 0.1}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("Adadelta", {"rho": 0.8, "epsilon": 1e-3}),
    ("Adam", {}),
    ("Adam", {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 0.01, "amsgrad": True}),
    ("AdamW", {"learning_rate": 0.01}),
    ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1, "amsgrad": True}),
    ("Adamax", {"learning_rate": 0.01}),
    ("Nadam", {"learning_rate": 0.01}),
    ("Ftrl", {"learning_rate": 0.1}),
    (
        "Ftrl",
        {
            "learning_rate": 0.1,
            "learning_rate_power": -0.7,
            "l1_regularization_strength": 0.3,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.1,
            "beta": 0.4,
        },
    ),
    ("Lion", {"learning_rate": 0.01}),
    ("Adafactor", {"learning_rate": 0.05}),
    ("Adafactor", {"learning_rate": 0.3, "beta_2_decay": -0.6, "clip_threshold": 0.5, "relative_step": False}),
    ("Lamb", {"learning_rate": 0.01}),
    ("Lamb", {"learning_rate": 0.01, "weight_decay": 0.1}),
    ("Muon", {"learning_rate": 0.01}),
    ("Muon", {"exclude_embeddings": False, "nesterov": False, "rms_rate": None, "ns_steps": 3, "adam_lr_ratio": 2.0}),
    ("SGD", {"clipvalue": 0.5}),
    ("SGD", {"clipnorm": 0.7}),
    ("Adam", {"global_clipnorm": 0.7}),
    ("SGD", {"learning_rate": 0.1, "weight_decay": 0.1, "momentum": 0.5}),
    ("Adam", {"loss_scale_factor": 8.0}),
    ("Adam", {"learning_rate": 0.01, "gradient_accumulation_steps": 3, "weight_decay": 0.1, "clipnorm": 0.5}),
    ("Nadam", {"learning_rate": 0.01, "gradient_accumulation_steps": 4}),
    ("Adam", {"learning_rate": 0.01, "use_ema": True, "ema_momentum": 0.9}),
    ("RMSprop", {"learning_rate": 0.01, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7}),
    ("SGD", {"use_ema": True, "ema_overwrite_frequency": 3, "gradient_accumulation_steps": 2}),
    ("SGD", {"learning_rate": ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5})}),
    ("Adam", {"learning_rate": ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 60}), "gradient_accumulation_steps": 3}),
]

SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [10, 30], "values": [1.0, 0.5, 0.1]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 40}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 40, "end_learning_rate": 0.01, "power": 0.5}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "power": 2.0, "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 60}),
    ("CosineDecay", {"initial_learning_rate": 0.0, "decay_steps": 60, "alpha": 0.1, "warmup_target": 0.2, "warmup_steps": 15}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 20, "t_mul": 1.0}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 6, "m_mul": 0.8, "alpha": 0.1}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 9, "t_mul": 1.5}),
]


def run(name: str, config: dict[str, Any], first: dict[str, Any], gradients: list[dict[str, Any]]) -> dict[str, Any]:
    """The weights after some of the steps."""
    if isinstance(rate := config.get("learning_rate"), tuple):
        config = {**config, "learning_rate": getattr(schedules, rate[0])(**rate[1])}
    optimizer = getattr(optimizers, name)(**config)
    weights = {label: keras.Variable(np.array(value), dtype="float64", name=label.replace("/", "_")) for label, value in first.items()}
    after: dict[str, Any] = {}
    for step, given in enumerate(gradients, 1):
        optimizer.apply_gradients([(keras.ops.convert_to_tensor(given[label], "float64"), weight) for label, weight in weights.items()])
        if step in RECORDED:
            after[str(step)] = {label: keras.ops.convert_to_numpy(weight).tolist() for label, weight in weights.items()}
    optimizer.finalize_variable_values(list(weights.values()))
    return {**after, "finalized": {label: keras.ops.convert_to_numpy(weight).tolist() for label, weight in weights.items()}}


def main() -> None:
    """Write the file."""
    keras.config.set_floatx("float64")
    random = np.random.default_rng(6)
    drawn = [{label: random.normal(size=shape).round(3).tolist() for label, shape in SHAPES.items()} for _ in range(STEPS + 1)]
    cases = [{"class": name, "config": config, "after": run(name, config, drawn[0], drawn[1:])} for name, config in CASES]
    rates = [
        {"class": name, "config": config, "rates": [float(getattr(schedules, name)(**config)(step)) for step in range(80)]}
        for name, config in SCHEDULES
    ]
    record = {"keras": keras.__version__, "first": drawn[0], "gradients": drawn[1:], "cases": cases, "schedules": rates}
    rounded = json.loads(json.dumps(record), parse_float=lambda text: round(float(text), 9))
    Path(__file__).with_name("optimizers.json").write_text(json.dumps(rounded, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
