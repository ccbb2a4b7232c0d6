"""The book's network on MNIST: 784 pixels, 512 units with relu, 10 classes with softmax; RMSprop, batches of 128, 5 epochs.

The test accuracy is 0.98 (F. Chollet, Deep Learning with Python, 2021, chapter 2). mlp_by_hand.py writes out what is done here by layers.
"""

import argparse

import numpy as np

import graphc as gc
from graphc import nn
from graphc.nn import layers

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", metavar="FOLDER", help="with MNIST's four files; without it they are looked for, and fetched")
parser.add_argument("--backend", choices=("numpy", "jax"), default="numpy")
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--limit", type=int, help="train on so many images")


def main() -> None:
    options = parser.parse_args()
    nn.set_random_seed(0)
    data = nn.datasets.load_mnist(options.data)
    train, test = [images.reshape(-1, 784).astype("float32") / 255 for images in (data.train_images, data.test_images)]

    model = nn.Sequential([nn.Input((784,)), layers.Dense(512, activation="relu"), layers.Dense(10, activation="softmax")])
    model.summary()
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"], backend=options.backend)
    model.fit(train[: options.limit], data.train_labels[: options.limit], epochs=options.epochs, batch_size=128, verbose=2)

    loss, accuracy = model.evaluate(test, data.test_labels, verbose=0)
    print(f"test: loss {loss:.3f}, accuracy {accuracy:.4f}")
    first = model.predict(test[:1], verbose=0)[0]
    print(f"the first digit is a {np.argmax(first)} with probability {first.max():.4f}")

    # What fit ran is one compiled function of a graph: here its loss, with the edges over which the gradient comes back.
    step = model.training.latest("train")
    gc.draw(step.graph, wrt=model.trainable_weights).save("mlp_mnist.svg")
    print(step.function.report)


if __name__ == "__main__":
    main()
