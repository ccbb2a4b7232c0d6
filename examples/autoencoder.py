"""An autoencoder: images of 8 x 8 pixels through 6 numbers and back, two models in one, beside principal components.

The digits are those that come with scikit-learn. A linear map to 6 numbers and back is at best as good as the principal components;
what is learned is better, on digits of other hands too.
"""

import numpy as np

from graphc import nn
from graphc.nn import layers

CODE = 6


def principal_components(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The test images through the directions in which the training images vary most, and back."""
    mean = train.mean(0)
    directions = np.linalg.svd(train - mean, full_matrices=False)[2][:CODE]
    return (test - mean) @ directions.T @ directions + mean


def main() -> None:
    nn.set_random_seed(0)
    digits = nn.datasets.load_digits()
    train, test = [images.reshape(-1, 64).astype("float32") / 255 for images in (digits.train_images, digits.test_images)]

    image = nn.Input((64,), name="image")
    hidden = layers.Dense(128, activation="relu")(image)
    encoder = nn.Model(image, layers.Dense(CODE, name="code")(hidden), name="encoder")

    code = nn.Input((CODE,), name="code_in")
    hidden = layers.Dense(128, activation="relu")(code)
    decoder = nn.Model(code, layers.Dense(64, activation="sigmoid")(hidden), name="decoder")

    autoencoder = nn.Model(image, decoder(encoder(image)), name="autoencoder")
    autoencoder.summary()
    autoencoder.compile("adam", "mse")
    history = autoencoder.fit(train, train, epochs=60, batch_size=32, validation_data=(test, test), verbose=0).history
    print(f"loss {history['loss'][0]:.4f} after the first epoch, {history['loss'][-1]:.4f} after the last")

    codes = encoder.predict(test, verbose=0)  # the weights are shared: the parts are trained with the whole
    restored = decoder.predict(codes, verbose=0)
    print(f"codes {codes.shape}, images {restored.shape}")
    linear = np.mean(np.square(principal_components(train, test) - test))
    print(f"mean squared error of test images: autoencoder {np.mean(np.square(restored - test)):.4f}, linear {linear:.4f}")


if __name__ == "__main__":
    main()
