"""A layer of one's own, with weights, with a behaviour in training, and with statistics that it keeps, tells two spirals apart.

Like graphc's layers it goes into models, summaries, configs and files.
"""

import numpy as np

import graphc as gc
from graphc import nn
from graphc.nn import layers


class Highway(nn.Layer):
    """``gate * activation(x @ kernel) + (1 - gate) * x``: it learns how much of it is used (Srivastava, Greff and Schmidhuber, 2015)."""

    def __init__(self, activation: str = "tanh", penalty: float = 0.0, **options: object) -> None:
        super().__init__(**options)  # name, dtype, trainable
        self.activation, self.penalty = nn.activations.get(activation), penalty

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Add the weights, and a statistic."""
        units = input_shape[-1]
        self.kernel = self.add_weight((units, units), "glorot_uniform", name="kernel")
        self.gate = self.add_weight((units, units), "glorot_uniform", name="gate")
        self.bias = self.add_weight((units,), nn.initializers.Constant(-1.0), name="bias")  # mostly closed at first
        self.openness = self.add_weight((), "zeros", trainable=False, name="openness")

    def call(self, x: gc.Tensor, training: bool = False) -> gc.Tensor:
        """The output as a graph; what a step changes or is penalised for besides is said on the way."""
        gate = gc.sigmoid(x @ self.gate + self.bias)
        if training:  # a plain bool: training and inference are two graphs
            self.add_update(self.openness, 0.9 * self.openness + 0.1 * gc.mean(gate))
            self.add_loss(self.penalty * gc.mean(gate))
        return gate * self.activation(x @ self.kernel) + (1 - gate) * x


def spirals(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of two spirals that turn one and a half times, and which of them each is of."""
    rng = np.random.default_rng(seed)
    labels, radius = rng.integers(0, 2, count), np.sqrt(rng.uniform(0.01, 1, count))
    angle = 3 * np.pi * radius + np.pi * labels
    points = radius * np.stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.02, (2, count))
    return points.T.astype("float32"), labels.astype("int32")


def main() -> None:
    nn.set_random_seed(0)
    model = nn.Sequential([nn.Input((2,)), layers.Dense(32), *[Highway(penalty=1e-3) for _ in range(4)], layers.Dense(1, "sigmoid")])
    model.compile(nn.optimizers.Adam(5e-3), "binary_crossentropy", metrics=["accuracy"])
    model.fit(*spirals(4_000, seed=1), epochs=8, batch_size=64, verbose=0)
    print("test: loss {:.4f}, accuracy {:.4f}".format(*model.evaluate(*spirals(1_000, seed=2), verbose=0)))
    for layer in model.layers[1:-1]:
        print(f"{layer.name}: {layer.count_params()} numbers, its gates are open by {layer.openness.value:.2f}")
    model.save("spirals.safetensors")
    print(f"loaded: accuracy {nn.load_model('spirals.safetensors').evaluate(*spirals(1_000, seed=2), verbose=0)[1]:.4f}")


if __name__ == "__main__":
    main()
