"""The command line: ``graphc train mnist``, ``graphc bench``, ``graphc calibrate``, ``graphc devices`` and ``graphc --version``.

Exit codes: 0 done, 1 an error that graphc explains, 2 a call that makes no sense, 130 Ctrl-C. What is slow to import is imported
by the command that needs it.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from graphc import __version__
from graphc.core.errors import GraphcError
from graphc.pipeline import BACKENDS

DATASETS = ("mnist", "digits")
INTERRUPTED = 130
T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (``sys.argv`` unless ``arguments`` are given) and return the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        asked.run(asked)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        return _failed(f"graphc: {str(stop) or 'interrupted'}", INTERRUPTED)
    except GraphcError as error:
        return _failed(f"graphc: {error}", 1)
    except BrokenPipeError:  # graphc ... | head: Python would say so once more at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _failed(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("graphc", description="Symbolic differentiation and a compiler for graphs of tensor operations.")
    parser.add_argument("--version", action="version", version=f"graphc {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    _add_train(commands.add_parser("train", help="train the book's network on handwritten digits", description=_TRAIN))
    _add_bench(commands.add_parser("bench", help="how fast graphs run on this machine", description=_BENCH))
    _add_calibrate(commands.add_parser("calibrate", help="measure this machine for the compiler", description=_CALIBRATE))
    _add_devices(commands.add_parser("devices", help="what JAX sees: the names for device=", description=_DEVICES))
    return parser


_TRAIN = (
    "Train 784-512 relu-10 softmax with RMSprop as one static graph, evaluate it on the test set, save its weights "
    "(after every epoch) and draw its graph of gradients."
)


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_train, usage_error=parser.error)
    add = parser.add_argument
    add(
        "dataset",
        nargs="?",
        type=_dataset,
        default="mnist",
        help="mnist, fetched if it is not at hand, or digits, scikit-learn's (%(default)s)",
    )
    add("--dataset", dest="instead", type=_dataset, metavar="NAME", help="the same as an option, which wins")
    add("--epochs", type=_at_least(1), default=5, metavar="N", help="how often to go through the training set (%(default)s)")
    add("--batch-size", type=_at_least(1), default=128, metavar="N", help="images a step (%(default)s)")
    add("--backend", choices=BACKENDS, default="numpy", help="what runs the compiled graph (%(default)s)")
    add("--data", type=Path, metavar="DIR", help="folder with MNIST's four files, plain or .gz")
    add("--seed", type=_at_least(0), default=0, metavar="N", help="of the first weights and the order of the images (%(default)s)")
    add("--out", type=Path, metavar="DIR", help="folder for weights.safetensors and backprop.svg (out/mnist, out/digits)")


def _train(asked: argparse.Namespace) -> None:
    dataset = asked.instead or asked.dataset
    if asked.data is not None and dataset != "mnist":
        asked.usage_error(f"--data {asked.data}: {dataset} needs no folder (fits: --data with mnist)")
    from graphc.nn import Job, run

    out = asked.out or Path("out", dataset)
    run(Job(dataset, out, asked.data, asked.epochs, asked.batch_size, asked.backend, asked.seed))


_BENCH = (
    "Time training steps of the book's network at several sizes of a batch, on each backend that is installed; or the compiled functions "
    "of a script, which is run for that, on made-up values. Beside it stand the peaks that this machine reaches."
)


def _add_bench(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_bench, usage_error=parser.error)
    add = parser.add_argument
    add("script", nargs="?", metavar="SCRIPT[:NAME]", help="a Python file with compiled functions at its top level, and one's name")
    add("--size", type=_size, action="append", default=[], metavar="NAME=N", help="of a script's inputs; once for each named size")
    add("--backend", type=_several(_backend), metavar="NAMES", help="of the book's network: numpy,jax (those installed)")
    add("--batch-size", type=_several(_at_least(1)), metavar="N,N", help="of the book's network (1,32,128,1024)")
    add("--seconds", type=_positive, default=1.0, metavar="S", help="for which each function is called (%(default)s)")
    add("--json", action="store_true", help="everything that was measured, in seconds and bytes, as JSON")


def _bench(asked: argparse.Namespace) -> None:
    if asked.script is None and asked.size:
        asked.usage_error("--size without a script (fits: --batch-size for the book's network)")
    if asked.script is not None and (asked.backend or asked.batch_size):
        asked.usage_error("--backend and --batch-size are for the book's network; a script says its own (fits: --size NAME=N)")
    from graphc import bench

    batches = asked.batch_size or bench.BATCHES
    bench.run(bench.Request(asked.script, dict(asked.size), asked.backend, batches, asked.seconds, asked.json))


_CALIBRATE = (
    "Measure for some seconds what this machine takes for the work of a compiled graph, and keep it in the user's cache folder, so that "
    "the compiler chooses by it from now on. Results change by rounding at most."
)


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_calibrate)
    parser.add_argument("--out", type=Path, metavar="FILE", help="another file; $GRAPHC_MACHINE names it to other runs")


def _calibrate(asked: argparse.Namespace) -> None:
    from dataclasses import asdict

    import numpy as np

    from graphc.lower import machine

    found = machine.calibrate(asked.out)
    for name, value in asdict(found).items():
        print(f"{name:<13}", *[f"{number:.3g}" for number in np.atleast_1d(value)])
    print(f"saved {asked.out or machine.place()}")


_DEVICES = "Print the devices that JAX sees: the name that gc.Jax(device=...) takes, what it is, and its memory where JAX knows it."


def _add_devices(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_devices)


def _devices(asked: argparse.Namespace) -> None:
    from graphc.lower.targets.jax import devices

    jax, lines = devices.import_jax(), devices.seen()
    print("\n".join([f"JAX {jax.__version__} sees", *lines]))
    if all(line.startswith("cpu") for line in lines):
        only = f", with JAX_PLATFORMS={os.environ['JAX_PLATFORMS']}" if os.environ.get("JAX_PLATFORMS") else ""
        print(f'and no accelerator{only}. For an NVIDIA GPU: pip install "graphc[cuda]"; for a TPU: pip install "graphc[tpu]"')


def _dataset(name: str) -> str:
    if name in DATASETS:
        return name
    near = difflib.get_close_matches(name.lower(), DATASETS, 1)
    guess = f"; is {near[0]!r} meant?" if near else ""
    raise argparse.ArgumentTypeError(f"there is no data set {name!r}{guess} (fits: {', '.join(DATASETS)})")


def _at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"{text!r} is out of range (fits: a whole number from {least})")
        return number

    return parse


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is out of range (fits: a number above 0)")
    return number


def _backend(name: str) -> str:
    if name not in BACKENDS:
        raise argparse.ArgumentTypeError(f"there is no backend {name!r} (fits: {', '.join(BACKENDS)})")
    return name


def _size(text: str) -> tuple[str, int]:
    name, equals, number = text.partition("=")
    if not name.isidentifier() or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no size (fits: NAME=N)")
    return name, _at_least(0)(number)


def _several(one: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Items between commas."""
    return lambda text: tuple([one(item) for item in text.split(",")])
