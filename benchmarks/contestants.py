"""Who does the work: graphc on both backends, and its peers, each in the way that its own users would write it.

A contestant turns a model and a task into a :class:`Job`. ``start`` imports its module and wakes its device, which is not part of
any time to first result.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.workload import RMSprop, Task


@dataclass(frozen=True)
class Job:
    """``call`` does a step, or the task's number of them, and returns when it is done; ``state`` is the parameters now, in order."""

    call: Callable[[], Any]
    state: Callable[[], Sequence[Any]] = tuple


class Contestant:
    """``packages`` are what it needs installed, ``module`` is what its models are given."""

    packages: tuple[str, ...] = ("numpy",)
    module = "numpy"
    threads = 2

    def start(self, threads: int) -> None:
        self.threads = threads
        self.xp = importlib.import_module(self.module)

    def array(self, value: np.ndarray) -> Any:
        """Bring a value to where the contestant keeps its own."""
        return value

    def numpy(self, value: Any) -> np.ndarray:
        return np.asarray(value)

    def wait(self, value: Any) -> Any:
        """Until it is computed, where calls return early."""
        return value

    def takes(self, task: Task) -> bool:
        """Whether it has something to say to this task that is worth a column of its own."""
        return True

    def build(self, model: Callable[..., Any], task: Task) -> Job:
        if task.fresh:
            return Job(lambda: self.build(model, replace(task, fresh=False)).call())
        if task.resident:
            task = replace(task, batches=[tuple(map(self.array, batch)) for batch in task.batches])
        return getattr(self, task.question)(partial(model, self.xp), task)

    def looped(self, step: Callable[..., Any], task: Task) -> Callable[[], Any]:
        """A call: so many steps, each on the next batch. Only the end is waited for."""
        batches = itertools.cycle(task.batches)
        if task.steps == 1:
            return lambda: self.wait(step(*next(batches)))
        return lambda: self.wait([step(*next(batches)) for _ in range(task.steps)])

    def arrays(self, task: Task) -> dict[str, Any]:
        return {name: self.array(value.copy()) for name, value in task.parameters.items()}


class Numpy(Contestant):
    """Idiomatic NumPy: gradients by hand, one expression a line, no buffers."""

    def train(self, model, task):
        p, optimizer = self.arrays(task), task.optimizer
        v = {name: np.zeros_like(w) for name, w in p.items()}

        def step(*batch):
            loss, gradients = model(p, *batch)
            for name, g in gradients.items():
                p[name], v[name] = optimizer.move(p[name], v[name], g, np.sqrt)
            return loss

        return Job(self.looped(step, task), lambda: list(p.values()))

    def gradient(self, model, task):
        def step():
            loss, gradients = model(task.parameters)
            return loss, *[gradients[name] for name in task.parameters]

        return Job(step)

    def predict(self, model, task):
        return Job(self.looped(partial(model, task.parameters), task))

    hessian = predict

    def hvp(self, model, task):
        return Job(self.looped(partial(model, task.parameters, task.direction), task))


class Tuned(Contestant):
    """NumPy tuned by hand for one workload: what a compiler may be compared with. Its models are of the form told in ``tuned``."""

    packages = ("numpy", "threadpoolctl")

    def start(self, threads):
        super().start(threads)
        importlib.import_module("threadpoolctl").threadpool_limits(1, user_api="blas")

    def takes(self, task):
        return not task.fresh

    def build(self, model, task):
        step, state = model(task, self.threads)
        return Job(self.looped(step, task), state)


class Reference(Numpy):
    """The same in float64: what the others are compared with."""

    def build(self, model, task):
        return super().build(model, task.doubled())


WITHOUT, EVERYTHING = " without ", "everything"
SATURATED, ONE_THREAD = "graphc saturated", "graphc, GRAPHC_THREADS=1"


class Graphc(Contestant):
    """The plain declaration, compiled with these options."""

    packages: tuple[str, ...] = ("graphc",)
    module = "graphc"
    backend = "numpy"

    def __init__(self, **options: Any) -> None:
        self.options = options

    def compile(self, *graph):
        return self.xp.compile(*graph, backend=self.backend, **self.options)

    def inputs(self, batch):
        return [self.xp.input(f"x{i}", ("batch", *array.shape[1:]), str(array.dtype)) for i, array in enumerate(batch)]

    def variables(self, task):
        return {name: self.xp.variable(value, name) for name, value in task.parameters.items()}

    def train(self, model, task):
        from graphc.nn import optimizers

        kind = task.optimizer
        if isinstance(kind, RMSprop):
            optimizer = optimizers.RMSprop(kind.learning_rate, kind.rho, epsilon=kind.epsilon)
        else:
            optimizer = optimizers.SGD(kind.learning_rate)
        p, inputs = self.variables(task), self.inputs(task.batches[0])
        loss = model(p, *inputs)
        gradients = self.xp.grad(loss, list(p.values()))
        step = self.compile(inputs, loss, optimizer.updates(dict(zip(p.values(), gradients, strict=True))))
        return Job(self.looped(step, task), lambda: [variable.value for variable in p.values()])

    def looped(self, step, task):
        """Many steps are an epoch, as a user would have them; its result is the mean."""
        if task.steps == 1:
            return super().looped(step, task)
        from graphc.feed import epoch

        batches = itertools.cycle(task.batches)
        return lambda: epoch(step, itertools.islice(batches, task.steps)).means

    def gradient(self, model, task):
        p = {name: self.xp.input(name, value.shape) for name, value in task.parameters.items()}
        loss, gradients = self.xp.value_and_grad(model(p), list(p.values()))
        step, values = self.compile(list(p.values()), (loss, *gradients)), list(self.arrays(task).values())
        return Job(lambda: self.wait(step(*values)))

    def predict(self, model, task):
        inputs = self.inputs(task.batches[0])
        output = model(self.variables(task), *inputs)
        return Job(self.looped(self.compile(inputs, output), task))

    def hessian(self, model, task):
        return self._second(model, task, [], lambda loss, p: self.xp.hessian(loss, p))

    def hvp(self, model, task):
        v = self.xp.input("v", task.direction.shape)
        return self._second(model, task, [(v, task.direction)], lambda loss, p: self.xp.hvp(loss, p, v))

    def _second(self, model, task, more, derivative):
        (name, value), *_ = task.parameters.items()
        p, inputs = self.xp.input(name, value.shape), self.inputs(task.batches[0])
        step = self.compile([p, *[x for x, _ in more], *inputs], derivative(model({name: p}, *inputs), p))
        values = [self.array(x) for x in (value, *[x for _, x in more])]
        return Job(self.looped(partial(step, *values), task))


class Jax(Contestant):
    """``jax.jit`` of the whole step, with the state donated, and data on the device."""

    packages = ("jax",)
    module = "jax"

    def start(self, threads):
        super().start(threads)
        self.wait(self.array(np.zeros(1)) + 1)

    def array(self, value):
        return self.xp.numpy.asarray(value)

    def wait(self, value):
        return self.xp.block_until_ready(value)

    def listed(self, model, task):
        """Of parameters in a list: JAX would sort a dict."""
        return lambda p, *batch: model(dict(zip(task.parameters, p, strict=True)), *batch)

    def updating(self, model, task):
        jax, model, optimizer = self.xp, self.listed(model, task), task.optimizer

        def step(p, v, *batch):
            loss, gradients = jax.value_and_grad(model)(p, *batch)
            moved = [optimizer.move(*state, jax.numpy.sqrt) for state in zip(p, v, gradients, strict=True)]
            return [w for w, _ in moved], [u for _, u in moved], loss

        return step

    def begin(self, task):
        p = [self.xp.numpy.array(value) for value in task.parameters.values()]
        return p, [self.xp.numpy.zeros_like(w) if task.optimizer.slots else () for w in p]

    def train(self, model, task):
        update = self.xp.jit(self.updating(model, task), donate_argnums=(0, 1))
        p, v = self.begin(task)

        def step(*batch):
            nonlocal p, v
            p, v, loss = update(p, v, *batch)
            return loss

        return Job(self.looped(step, task), lambda: p)

    def gradient(self, model, task):
        step, p = self.xp.jit(self.xp.value_and_grad(self.listed(model, task))), list(self.arrays(task).values())

        def call():
            loss, gradients = self.wait(step(p))
            return loss, *gradients

        return Job(call)

    def predict(self, model, task):
        return Job(self.looped(partial(self.xp.jit(self.listed(model, task)), list(self.arrays(task).values())), task))

    def hessian(self, model, task):
        (name, value), *_ = task.parameters.items()
        return self._second(self.xp.hessian(lambda p, *batch: model({name: p}, *batch)), task, value)

    def hvp(self, model, task):
        (name, value), *_ = task.parameters.items()
        jax = self.xp

        def product(p, v, *batch):
            return jax.jvp(jax.grad(lambda p: model({name: p}, *batch)), (p,), (v,))[1]

        return self._second(product, task, value, task.direction)

    def _second(self, function, task, *values):
        return Job(self.looped(partial(self.xp.jit(function), *map(self.array, values)), task))


class JaxScan(Jax):
    """All steps of a call as one ``lax.scan`` over the batches, which have to be of one size and lie on the device twice."""

    def takes(self, task):
        return task.question == "train" and task.steps == len(task.batches) > 1

    def train(self, model, task):
        jax, step = self.xp, self.updating(model, task)
        whole = [batch for batch in task.batches if len(batch[0]) == len(task.batches[0][0])]
        rest = task.batches[len(whole) :]
        stacked = tuple(jax.numpy.stack(arrays) for arrays in zip(*whole, strict=True))
        p, v = self.begin(task)

        def one(carry, batch):
            p, v, loss = step(*carry, *batch)
            return (p, v), loss

        epoch = jax.jit(lambda p, v, batches: jax.lax.scan(one, (p, v), batches), donate_argnums=(0, 1))
        last = jax.jit(step, donate_argnums=(0, 1))

        def call():
            nonlocal p, v
            (p, v), losses = epoch(p, v, stacked)
            more = []
            for batch in rest:
                p, v, loss = last(p, v, *batch)
                more.append(loss)
            return self.wait(jax.numpy.append(losses, jax.numpy.array(more)))

        return Job(call, lambda: p)


class OneThread(Graphc):
    """On one thread, BLAS too: the setting for a machine that is shared."""

    def start(self, threads):
        os.environ["GRAPHC_THREADS"] = "1"
        super().start(1)


class GraphcJax(Graphc):
    """The same declaration on XLA."""

    packages = ("graphc", "jax")
    backend = "jax"

    def start(self, threads):
        super().start(threads)
        self.jax = importlib.import_module("jax")
        self.wait(self.array(np.zeros(1)) + 1)

    def array(self, value):
        return self.jax.numpy.asarray(value)

    def wait(self, value):
        return self.jax.block_until_ready(value)


class GraphcJaxEpoch(GraphcJax):
    """All steps of a call as one call of the compiled function, over data that it keeps on the device."""

    def takes(self, task):
        return task.question == "train" and task.steps == len(task.batches) > 1

    def looped(self, step, task):
        arrays = [np.concatenate(column) for column in zip(*task.batches, strict=True)]
        batches = self.xp.Batches(arrays, len(task.batches[0][0]))
        return lambda: self.xp.epoch(step, batches, steps_per_call="epoch").means


class Autograd(Numpy):
    """NumPy's functions, taped: its models return what NumPy's do once they are differentiated."""

    packages = ("autograd",)
    module = "autograd.numpy"

    def start(self, threads):
        super().start(threads)
        self.autograd = importlib.import_module("autograd")

    def train(self, model, task):
        return super().train(self.autograd.value_and_grad(model), task)

    def gradient(self, model, task):
        return super().gradient(self.autograd.value_and_grad(model), task)

    def hessian(self, model, task):
        (name, p), *_ = task.parameters.items()
        return Job(self.looped(partial(self.autograd.hessian(lambda p, *batch: model({name: p}, *batch)), p), task))

    def hvp(self, model, task):
        (name, p), *_ = task.parameters.items()
        product = self.autograd.hessian_vector_product(lambda p, *batch: model({name: p}, *batch))
        return Job(self.looped(lambda *batch: product(p, *batch, task.direction), task))


class Torch(Contestant):
    """Eager PyTorch. Its own RMSprop adds epsilon elsewhere, so that step is written with the in-place calls which it makes too."""

    packages = ("torch",)
    module = "torch"

    def start(self, threads):
        super().start(threads)
        self.xp.set_num_threads(threads)

    def array(self, value):
        tensor = self.xp.from_numpy(np.ascontiguousarray(value))
        return tensor.long() if value.dtype == np.int32 else tensor

    def numpy(self, value):
        return value.detach().numpy()

    def leaves(self, task):
        return {name: w.requires_grad_() for name, w in self.arrays(task).items()}

    def train(self, model, task):
        torch, p, rule = self.xp, self.leaves(task), task.optimizer
        sgd = torch.optim.SGD(p.values(), rule.learning_rate)
        v = [torch.zeros_like(w) for w in p.values()]

        def step(*batch):
            batch = batch if task.resident else tuple(map(self.array, batch))
            sgd.zero_grad()
            loss = model(p, *batch)
            loss.backward()
            if not rule.slots:
                sgd.step()
                return loss.detach()
            with torch.no_grad():
                for w, u in zip(p.values(), v, strict=True):
                    u.mul_(rule.rho).addcmul_(w.grad, w.grad, value=1 - rule.rho)
                    w.addcdiv_(w.grad, (u + rule.epsilon).sqrt_(), value=-rule.learning_rate)
            return loss.detach()

        return Job(self.looped(step, task), lambda: list(p.values()))

    def gradient(self, model, task):
        p = self.leaves(task)

        def call():
            loss = model(p)
            return loss.detach(), *self.xp.autograd.grad(loss, list(p.values()))

        return Job(call)

    def predict(self, model, task):
        return Job(self.looped(self.xp.inference_mode()(partial(model, self.arrays(task))), task))

    def hessian(self, model, task):
        (name, p), *_ = self.arrays(task).items()
        return Job(self.looped(lambda *batch: self.xp.autograd.functional.hessian(lambda p: model({name: p}, *batch), p), task))

    def hvp(self, model, task):
        """By reverse over reverse, the double backward."""
        (name, p), *_ = self.leaves(task).items()
        grad, v = self.xp.autograd.grad, self.array(task.direction)

        def step(*batch):
            (g,) = grad(model({name: p}, *batch), p, create_graph=True)
            return grad(g, p, v)[0]

        return Job(self.looped(step, task))


class Tensorflow(Contestant):
    """A ``tf.function`` of the step, which assigns to variables."""

    packages = ("tensorflow",)
    module = "tensorflow"

    def start(self, threads):
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        super().start(threads)
        self.xp.config.threading.set_intra_op_parallelism_threads(threads)
        self.xp.config.threading.set_inter_op_parallelism_threads(threads)
        self.array(np.zeros(1))

    def array(self, value):
        return self.xp.constant(value)

    def train(self, model, task):
        tf, optimizer = self.xp, task.optimizer
        p = {name: tf.Variable(w) for name, w in task.parameters.items()}
        v = {name: tf.Variable(tf.zeros_like(w)) for name, w in p.items()}

        @tf.function(reduce_retracing=True)
        def step(*batch):
            with tf.GradientTape() as tape:
                loss = model(p, *batch)
            gradients = tape.gradient(loss, list(p.values()))
            for (name, w), g in zip(p.items(), gradients, strict=True):
                new, slot = optimizer.move(w, v[name], g, tf.sqrt)
                w.assign(new)
                if optimizer.slots:
                    v[name].assign(slot)
            return loss

        return Job(self.looped(step, task), lambda: list(p.values()))

    def gradient(self, model, task):
        tf, values = self.xp, list(self.arrays(task).values())

        @tf.function
        def step(*values):
            with tf.GradientTape() as tape:
                tape.watch(values)
                loss = model(dict(zip(task.parameters, values, strict=True)))
            return loss, *tape.gradient(loss, values)

        return Job(lambda: step(*values))

    def predict(self, model, task):
        p = self.arrays(task)
        return Job(self.looped(self.xp.function(lambda *batch: model(p, *batch)), task))

    def hessian(self, model, task):
        def derivative(gradient, tape, p):
            return tape.jacobian(gradient, p)

        return self._second(model, task, derivative)

    def hvp(self, model, task):
        v = self.array(task.direction)

        def derivative(gradient, tape, p):
            return tape.gradient(gradient, p, output_gradients=v)

        return self._second(model, task, derivative)

    def _second(self, model, task, derivative):
        tf = self.xp
        (name, p), *_ = self.arrays(task).items()

        @tf.function
        def step(p, *batch):
            with tf.GradientTape() as outer:
                outer.watch(p)
                with tf.GradientTape() as inner:
                    inner.watch(p)
                    loss = model({name: p}, *batch)
                gradient = inner.gradient(loss, p)
            return derivative(gradient, outer, p)

        return Job(self.looped(partial(step, p), task))


class Pytensor(Contestant):
    """A ``pytensor.function`` in its default mode, which is Numba's, with shared variables for state."""

    packages = ("pytensor", "numba")
    module = "pytensor.tensor"

    def start(self, threads):
        super().start(threads)
        self.pytensor = importlib.import_module("pytensor")
        self.pytensor.config.floatX = "float32"
        importlib.import_module("pytensor.tensor.special")

    def inputs(self, batch):
        return [self.xp.tensor(f"x{i}", shape=(None, *array.shape[1:]), dtype=str(array.dtype)) for i, array in enumerate(batch)]

    def shared(self, task):
        return {name: self.pytensor.shared(value.copy(), name) for name, value in task.parameters.items()}

    def train(self, model, task):
        p, inputs = self.shared(task), self.inputs(task.batches[0])
        loss = model(p, *inputs)
        updates = []
        for w, g in zip(p.values(), self.xp.grad(loss, list(p.values())), strict=True):
            v = self.pytensor.shared(np.zeros_like(w.get_value()))
            new, slot = task.optimizer.move(w, v, g, self.xp.sqrt)
            updates += [(w, new.astype("float32"))] + ([(v, slot.astype("float32"))] if task.optimizer.slots else [])
        step = self.pytensor.function(inputs, loss, updates=updates)
        return Job(self.looped(step, task), lambda: [w.get_value() for w in p.values()])

    def gradient(self, model, task):
        p = {name: self.xp.tensor(name, shape=value.shape, dtype="float32") for name, value in task.parameters.items()}
        loss = model(p)
        step = self.pytensor.function(list(p.values()), [loss, *self.xp.grad(loss, list(p.values()))])
        return Job(lambda: tuple(step(*task.parameters.values())))

    def predict(self, model, task):
        inputs = self.inputs(task.batches[0])
        step = self.pytensor.function(inputs, model(self.shared(task), *inputs), on_unused_input="ignore")
        return Job(self.looped(step, task))

    def hessian(self, model, task):
        return self._second(model, task, lambda loss, p: self.pytensor.gradient.hessian(loss, p))

    def hvp(self, model, task):
        v = self.pytensor.shared(task.direction)
        return self._second(model, task, lambda loss, p: self.xp.grad(self.xp.sum(self.xp.grad(loss, p) * v), p))

    def _second(self, model, task, derivative):
        (name, p), *_ = self.shared(task).items()
        inputs = self.inputs(task.batches[0])
        return Job(self.looped(self.pytensor.function(inputs, derivative(model({name: p}, *inputs), p)), task))


class Keras(Contestant):
    """Keras 3 on JAX: a model of layers, ``train_on_batch`` and ``predict_on_batch``."""

    packages = ("keras", "jax")
    module = "keras"

    def start(self, threads):
        os.environ["KERAS_BACKEND"] = "jax"
        super().start(threads)

    def network(self, model, task):
        network, loss = model(task.parameters, *task.batches[0])
        for weight, value in zip(network.trainable_weights, task.parameters.values(), strict=True):
            weight.assign(value.reshape(weight.shape))
        return network, loss

    def train(self, model, task):
        optimizers, rule = self.xp.optimizers, task.optimizer
        if isinstance(rule, RMSprop):
            optimizer = optimizers.RMSprop(rule.learning_rate, rule.rho, epsilon=rule.epsilon)
        else:
            optimizer = optimizers.SGD(rule.learning_rate)
        network, loss = self.network(model, task)
        network.compile(optimizer, loss)

        def step(*batch):
            network.reset_metrics()  # the loss of this batch, not the mean so far
            return network.train_on_batch(*batch)

        return Job(self.looped(step, task), lambda: network.trainable_weights)

    def predict(self, model, task):
        network, _ = self.network(model, task)
        return Job(self.looped(lambda x, t: network.predict_on_batch(x), task))


KINDS: dict[str, Callable[[], Contestant]] = {
    "reference": Reference,
    "graphc": Graphc,
    "graphc-jax": GraphcJax,
    "graphc-jax-epoch": GraphcJaxEpoch,
    SATURATED: partial(Graphc, saturate=True),
    ONE_THREAD: OneThread,
    "jax": Jax,
    "jax-scan": JaxScan,
    "numpy": Numpy,
    "tuned": Tuned,
    "torch": Torch,
    "tensorflow": Tensorflow,
    "pytensor": Pytensor,
    "keras": Keras,
    "autograd": Autograd,
}


def own(name: str) -> bool:
    """Whether it is graphc, in whatever setting."""
    return name.startswith("graphc")


PEERS = tuple(name for name in KINDS if name != "reference" and not own(name))


def contestant(name: str) -> Contestant:
    """The contestant of this name; ``"graphc without fuse"`` leaves out one optimisation."""
    kind, _, without = name.partition(WITHOUT)
    if not without:
        return KINDS[kind]()
    return Graphc(optimize=False) if without == EVERYTHING else Graphc(without=(without,))


def words(name: str) -> str:
    """Whose version of a model it runs."""
    return "graphc" if own(name) else {"reference": "numpy", "jax-scan": "jax"}.get(name, name)


def absent(name: str) -> str | None:
    """Why this contestant cannot take part here, if it cannot."""
    missing = [package for package in contestant(name).packages if importlib.util.find_spec(package) is None]
    return f"{' and '.join(missing)} not installed" if missing else None


def versions(names: Sequence[str]) -> dict[str, str]:
    """What of each package is installed."""
    packages = sorted({"numpy", *itertools.chain.from_iterable(contestant(name).packages for name in names)} - {"graphc"})
    found = {}
    for package in packages:
        distributions = importlib.metadata.packages_distributions().get(package, ())
        found |= {package: importlib.metadata.version(distributions[0])} if distributions else {}
    return found
