"""The command line: ``graphc train mnist``, ``graphc draw train.py:loss`` and the like, ``graphc bench`` and ``graphc --version``.

Exit codes: 0 done, 1 an error that graphc explains, or findings of lint, 2 a call that makes no sense, 130 Ctrl-C. What is slow to
import is imported by the command that needs it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from graphc import __version__
from graphc.core.errors import GraphcError, near
from graphc.pipeline import BACKENDS

DATASETS = ("mnist", "digits")
FORMATS = ("svg", "png", "pdf", "html", "dot")
INTERRUPTED = 130
T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (``sys.argv`` unless ``arguments`` are given) and return the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        code: int | None = asked.run(asked)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        return _failed(f"graphc: {str(stop) or 'interrupted'}", INTERRUPTED)
    except GraphcError as error:
        return _failed(f"graphc: {error}", 1)
    except BrokenPipeError:  # graphc ... | head: Python would say so once more at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code or 0


def _failed(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("graphc", description="Symbolic differentiation and a compiler for graphs of tensor operations.")
    parser.add_argument("--version", action="version", version=f"graphc {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    _add_train(commands.add_parser("train", help="train the book's network on handwritten digits", description=_TRAIN))
    _add_draw(commands.add_parser("draw", help="draw a graph of a script", description=_DRAW))
    _add_explain(commands.add_parser("explain", help="what the compiler did to a graph", description=_EXPLAIN))
    _add_derive(commands.add_parser("derive", help="a gradient step by step", description=_DERIVE))
    _add_formula(commands.add_parser("formula", help="a graph as a formula", description=_FORMULA))
    _add_diff(commands.add_parser("diff", help="what tells two graphs apart", description=_DIFF))
    _add_lint(commands.add_parser("lint", help="what is probably wrong with the graphs of a script", description=_LINT))
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


_SPEC = "a Python file, and the name of a tensor, a compiled function or a model at its top level"
_DRAW = (
    "Run a script, under the name __graphc__, and draw a graph that it declares: with --wrt its gradient too, and as html the explorer, in "
    "which everything that the compiler knows can be looked at."
)


def _add_draw(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_draw)
    add = parser.add_argument
    add("spec", metavar="FILE.py[:NAME]", help=_SPEC)
    add("--format", choices=FORMATS, help="svg unless --out says another; html is the explorer")
    add("--out", metavar="FILE", help="NAME.svg and so on in this folder; - writes to the terminal")
    add(
        "--wrt",
        type=_several(str),
        default=(),
        metavar="NAMES",
        help="names in the script or labels, between commas: their gradient is drawn",
    )
    add("--path", metavar="W", help="mark every reversed path from the result to this weight")
    add("--values", metavar="FILE.npz", help="an array for each input by its name: the edges then have their numbers")
    for option, (kind, told) in _DRAW_OPTIONS.items():
        add(f"--{option.replace('_', '-')}", type=kind, metavar="N" if kind is not str else "NAME", help=told)


_DRAW_OPTIONS: dict[str, tuple[Callable[[str], Any], str]] = {
    "level": (str, "ops, layers (groups are folded) or program (what a compiled function runs)"),
    "depth": (_at_least(0), "how many groups deep --level layers stays open"),
    "direction": (str, "TB, LR, BT or RL: where the graph runs to"),
    "theme": (str, "light or dark"),
    "color_by": (str, "time, flops or bytes; with --values also 'gradient norm', nan and 'dead units'"),
    "title": (str, "what the picture is of"),
    "engine": (str, "a Graphviz binary, pygraphviz, or plain for graphc's own layout"),
}


def _draw(asked: argparse.Namespace) -> None:
    from graphc import view

    options = {option: getattr(asked, option) for option in _DRAW_OPTIONS if getattr(asked, option) is not None}
    view.draw(view.Drawing(asked.spec, asked.format, asked.out, asked.wrt, asked.path, asked.values, options))


_EXPLAIN = (
    "Say what the compiler did to a graph of a script: every rule that fired with what it saved, or what became of one node, down to the "
    "lines of the source that runs. A tensor or a model is compiled for that."
)


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_explain)
    add = parser.add_argument
    add("spec", metavar="FILE.py[:NAME]", help=_SPEC)
    add("node", nargs="?", metavar="NODE", help="a name in the script, a label, an op or a rule (all rules)")
    add("--backend", choices=BACKENDS, default="numpy", help="for which a tensor is compiled (%(default)s)")


def _explain(asked: argparse.Namespace) -> None:
    from graphc import view

    view.explain(asked.spec, asked.node, asked.backend)


_DERIVE = "Write how the gradient of a script's loss for a weight comes about: the chain rule step by step."


def _add_derive(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_derive)
    parser.add_argument("spec", metavar="FILE.py[:LOSS]", help=_SPEC)
    parser.add_argument("weight", metavar="W", help="a name in the script, or a label")
    _add_form(parser)


def _derive(asked: argparse.Namespace) -> None:
    from graphc import view

    view.derive(asked.spec, asked.weight, asked.format, asked.out)


_FORMULA = "Write a graph of a script as a formula."


def _add_formula(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_formula)
    parser.add_argument("spec", metavar="FILE.py[:NAME]", help=_SPEC)
    _add_form(parser, ("text", "latex"))


def _formula(asked: argparse.Namespace) -> None:
    from graphc import view

    view.formula(asked.spec, asked.format, asked.out)


def _add_form(parser: argparse.ArgumentParser, forms: Sequence[str] = ("text", "latex", "html")) -> None:
    parser.add_argument("--format", choices=forms, default="text", help="how it is written (%(default)s)")
    parser.add_argument("--out", metavar="FILE", help="a file; without one it is printed")


_DIFF = "Compare two graphs of scripts by structure: what is added, removed and changed, as a listing, and with --out as a picture too."


def _add_diff(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_diff)
    parser.add_argument("one", metavar="FILE.py[:NAME]", help=_SPEC)
    parser.add_argument("other", metavar="FILE.py[:NAME]", help="the same")
    parser.add_argument("--out", metavar="FILE", help="a picture: .svg, .png, .pdf or .dot")


def _diff(asked: argparse.Namespace) -> None:
    from graphc import view

    view.diff(asked.one, asked.other, asked.out)


_LINT = (
    "Run a script, under the name __graphc__, and look at the tensors, compiled functions and models at its top level for what is probably "
    "wrong with them; nothing that it defines is called. docs/lint.md has the rules. The exit code is 1 if there are findings."
)


def _add_lint(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_lint)
    add = parser.add_argument
    add("spec", metavar="FILE.py[:NAME]", help=_SPEC)
    add("--format", choices=("text", "json", "github"), default="text", help="github is for the log of a workflow (%(default)s)")
    add("--ignore", type=_several(str), default=(), metavar="CODES", help="rules to leave out, between commas: GC103,GC504")


def _lint(asked: argparse.Namespace) -> int:
    from graphc.linter import lint_script

    found = lint_script(asked.spec, ignore=asked.ignore)
    text = {"text": found.__str__, "json": found.as_json, "github": found.as_github}[asked.format]()
    if text:
        print(text)
    return 1 if found else 0


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
    import numpy as np

    from graphc.lower import machine

    found = machine.calibrate(asked.out)
    for name, value in found._asdict().items():
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
    raise argparse.ArgumentTypeError(f"there is no data set {name!r}{near(name, DATASETS)} (fits: {', '.join(DATASETS)})")


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
        raise argparse.ArgumentTypeError(f"there is no backend {name!r}{near(name, BACKENDS)} (fits: {', '.join(BACKENDS)})")
    return name


def _size(text: str) -> tuple[str, int]:
    name, equals, number = text.partition("=")
    if not name.isidentifier() or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no size (fits: NAME=N)")
    return name, _at_least(0)(number)


def _several(one: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Items between commas."""
    return lambda text: tuple([one(item) for item in text.split(",")])
