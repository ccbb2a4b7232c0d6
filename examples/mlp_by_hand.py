"""The book's network on MNIST without the model layer: ``python examples/mlp_by_hand.py [MNIST's folder [epochs]]``.

784 pixels, 512 units with relu, 10 classes with softmax, RMSprop, batches of 128, 5 epochs: test accuracy 0.98.
mlp_mnist.py does the same with layers, and ``graphc train mnist`` as a command.
"""

import sys

import numpy as np

import graphc as gc

epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
data = gc.nn.datasets.load_mnist(*sys.argv[1:2])
images = data.train_images.reshape(60_000, 784).astype("float32") / 255
labels = data.train_labels.astype("int32")

# Declare: nothing is computed here. "batch" is a size that each call brings.
x = gc.input("x", ("batch", 784))
t = gc.input("t", ("batch",), dtype="int32")
w1 = gc.variable(gc.init.glorot_uniform((784, 512), seed=1), "w1")
b1 = gc.variable(gc.init.zeros((512,)), "b1")
w2 = gc.variable(gc.init.glorot_uniform((512, 10), seed=2), "w2")
b2 = gc.variable(gc.init.zeros((10,)), "b2")
weights = [w1, b1, w2, b2]

probabilities = gc.softmax(gc.relu(x @ w1 + b1) @ w2 + b2)
loss = gc.mean(gc.sparse_categorical_crossentropy(t, probabilities))
accuracy = gc.mean(gc.cast(gc.equal(gc.argmax(probabilities, axis=-1), t), "float32"))

# Differentiate: gradients are graphs, and so is the optimiser, here RMSprop from its formula.
updates = {}
for w, g in zip(weights, gc.grad(loss, weights), strict=True):
    v = gc.variable(np.zeros_like(w.value), f"{w.label}/velocity")
    updates[v] = 0.9 * v + 0.1 * g * g
    updates[w] = w - 1e-3 * g / gc.sqrt(updates[v] + 1e-7)

gc.draw(loss, wrt=weights).save("backprop.svg")

# Compile: one function for forward, backward and update.
step = gc.compile([x, t], [loss, accuracy], updates=updates)
score = gc.compile([x, t], [loss, accuracy])

order = np.random.default_rng(seed=0)
for epoch in range(1, epochs + 1):
    batches = np.split(order.permutation(len(images)), range(128, len(images), 128))
    results = [step(images[rows], labels[rows]) for rows in batches]
    mean = np.average(results, axis=0, weights=[len(rows) for rows in batches])
    print(f"epoch {epoch}: loss {mean[0]:.3f}, accuracy {mean[1]:.3f}")

test_loss, test_accuracy = score(data.test_images.reshape(10_000, 784).astype("float32") / 255, data.test_labels.astype("int32"))
print(f"test: loss {test_loss:.3f}, accuracy {test_accuracy:.3f}")
