"""``python -m benchmarks.gpu``: training steps on an accelerator, graphc on JAX beside ``jax.jit`` with the state donated.

In float32 and in mixed precision (bfloat16 products, float32 weights). FLOP/s are those of the model's products, forward and backward,
over the time of a step; over the peak of the chip they are what A. Chowdhery et al., "PaLM" (2022), call model FLOPs utilization.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks import tables
from benchmarks.contestants import Contestant, GraphcJax, Jax, Job, versions
from benchmarks.timing import interleaved, notch, say
from benchmarks.worker import Sample
from benchmarks.workload import SGD, Gemm, Task, images
from benchmarks.workloads import attention, convolutional, mlp

DTYPES = ("float32", "bfloat16")
APART = {"float32": 5e-3, "bfloat16": 5e-2}
"""How far the losses may be from hand-written JAX's, of their size; a chip's default may be TF32."""
PER_CALL = 10
"""Steps until one is waited for: a training loop does not look at each loss."""

# ---------------------------------------------------------------- chips
PEAKS: dict[str, tuple[float | None, float]] = {
    # NVIDIA's datasheets of these GPUs; where they have the numbers with sparsity alone, half of them.
    "A100": (156, 312),
    "A10": (62.5, 125),
    "A30": (82, 165),
    "A40": (74.8, 149.7),
    "H100 PCIe": (378, 756),
    "H100 NVL": (417.5, 835.5),
    "H100": (494.5, 989),
    "H200 NVL": (417.5, 835.5),
    "H200": (494.5, 989),
    "GH200": (494.5, 989),
    "L4": (60, 121),
    "L40": (90.5, 181),
    "L40S": (183, 362),
    # NVIDIA's page of the HGX platform: an eighth of half of the numbers of HGX B200.
    "B200": (1125, 2250),
    # The whitepapers "NVIDIA Ampere GA102 GPU Architecture" and "NVIDIA Ada GPU Architecture".
    "RTX 3090": (35.6, 71),
    "RTX 4090": (82.6, 165.2),
    # Google Cloud's pages of TPU v4, v5e, v5p and v6e.
    "TPU v4": (None, 275),
    "TPU v5 lite": (None, 197),
    "TPU v5": (None, 459),
    "TPU v6 lite": (None, 918),
}
"""Dense TFLOP/s of products, by what is in the name that JAX gives to a chip: of float32 as JAX computes them by default, which is TF32
on these GPUs, and of bfloat16 added up in float32. A TPU makes float32 products of bfloat16 ones, and has no peak of its own.
"""


def peak(kind: str, dtype: str) -> float | None:
    """FLOP/s of a chip; None for one that is not in the table. The longest name that is in the chip's is its own."""
    words = f" {kind.replace('-', ' ')} "
    names = [name for name in PEAKS if f" {name} " in words and "Laptop" not in words]
    found = PEAKS[max(names, key=len)][DTYPES.index(dtype)] if names else None
    return None if found is None else found * 1e12


# ---------------------------------------------------------------- what is measured
@dataclass(frozen=True)
class Training:
    """A network: graphc's words for it, hand-written JAX's (a function of the dtype of products), and a task of these sizes."""

    name: str
    title: str
    ours: Callable[..., Any]
    theirs: Callable[[str], Callable[..., Any]]
    make: Callable[..., Task]
    gemms: Callable[..., list[Gemm]]
    sizes: dict[str, Any]
    tiny: dict[str, Any]

    def task(self, tiny: bool) -> Task:
        return replace(self.make(np.random.default_rng(0), **self._sizes(tiny)), steps=PER_CALL)

    def flops(self, tiny: bool) -> int:
        """Of the products of one step."""
        return sum(2 * m * k * n for _, m, k, n in self.gemms(**self._sizes(tiny)))

    def _sizes(self, tiny: bool) -> dict[str, Any]:
        return {**self.sizes, **self.tiny} if tiny else self.sizes


def lowered(p: dict[str, Any], low: str, kept: Sequence[str] = ()) -> dict[str, Any]:
    return {name: w if name in kept else w.astype(low) for name, w in p.items()}


def crossentropy(jax: Any, logits: Any, t: Any) -> Any:
    logp = jax.nn.log_softmax(logits.astype("float32"))
    return -jax.numpy.mean(jax.numpy.take_along_axis(logp, t[:, None], axis=1))


def dense_net(low: str) -> Callable[..., Any]:
    def loss(jax, p, x, t):
        return crossentropy(jax, mlp.logits(lowered(p, low), x.astype(low), jax.nn.relu), t)

    return loss


def conv_net(low: str) -> Callable[..., Any]:
    def loss(jax, p, x, t):
        p, x, lax = lowered(p, low), x.astype(low), jax.lax
        for k, b in ((p["k1"], p["b1"]), (p["k2"], p["b2"])):
            x = jax.nn.relu(lax.conv_general_dilated(x, k, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")) + b)
            x = lax.reduce_window(x, -np.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return crossentropy(jax, x.reshape(x.shape[0], -1) @ p["w"] + p["b"], t)

    return loss


def block(low: str) -> Callable[..., Any]:
    """Normalisation, softmax and the residual stream are in float32."""

    def loss(jax, p, x, t):
        jnp, p = jax.numpy, lowered(p, low, ("g1", "c1", "g2", "c2"))

        def norm(x, g, c):
            d = x - jnp.mean(x, axis=-1, keepdims=True)
            return (d * jax.lax.rsqrt(jnp.mean(d * d, axis=-1, keepdims=True) + attention.EPSILON) * g + c).astype(low)

        def attend(q, k, v):
            q, k, v = (a.reshape(*a.shape[:-1], attention.HEADS, -1) for a in (q, k, v))
            scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) / q.shape[-1] ** 0.5
            weights = jax.nn.softmax(scores.astype("float32")).astype(low)
            return jnp.einsum("nhqk,nkhd->nqhd", weights, v).reshape(x.shape)

        y = attention.through(p, x, norm, jax.nn.relu, attend)
        return crossentropy(jax, jnp.mean(y, axis=1).astype(low) @ p["wc"] + p["bc"], t)

    return loss


def one_batch(rng: np.random.Generator, units: tuple[int, ...], batch: int) -> Task:
    return Task("train", mlp.parameters(rng, units), [images(rng, batch, units[0])], SGD())


TRAININGS = [
    Training(
        "mlp",
        "MLP 2048-8192-8192-10, batch 4,096",
        mlp.mlp["graphc"],
        dense_net,
        one_batch,
        mlp.gemms,
        {"units": (2048, 8192, 8192, 10), "batch": 4096},
        {"units": (12, 8, 7, 10), "batch": 6},
    ),
    Training(
        "cnn",
        "CNN conv3x3x256, pool, conv3x3x512, pool, dense; 64 x 64, batch 256",
        convolutional.pooling["graphc"],
        conv_net,
        convolutional.training,
        convolutional.gemms,
        {"pixels": 64, "channels": (256, 512), "size": 3, "strides": 1, "pooled": True, "batch": 256},
        convolutional.TINY,
    ),
    Training(
        "transformer",
        "transformer block, d 1024, hidden 4096, 4 heads, sequence 512, batch 32",
        attention.block["graphc"],
        block,
        attention.training,
        attention.gemms,
        {"batch": 32, "sequence": 512, "width": 1024, "hidden": 4096},
        {"batch": 2, "sequence": 5, "width": 8, "hidden": 6},
    ),
]


# ---------------------------------------------------------------- measuring
class Ours(GraphcJax):
    """Steps in a row, the last of which is waited for, as :class:`Jax` has them."""

    looped = Contestant.looped


@dataclass
class Result:
    """Seconds a step of both; ``apart`` is how far their losses are from each other, of their size."""

    ours: float
    theirs: float
    ours_notch: float
    theirs_notch: float
    apart: float


def jobs(training: Training, dtype: str, device: str, tiny: bool) -> dict[str, Job]:
    import graphc as gc

    def mixed(xp: Any, p: Any, *batch: Any) -> Any:
        loss = training.ours(xp, p, *batch)
        return loss if dtype == "float32" else gc.mixed_precision(loss, dtype)

    made: dict[str, Job] = {}
    task = training.task(tiny)
    for name, one, model in (("graphc", Ours(), mixed), ("jax", Jax(), training.theirs(dtype))):
        one.backend = gc.Jax(device=device)
        one.start(1)
        made[name] = one.build(model, task)
    return made


def samples(call: Callable[[], Any], seconds: float) -> list[Sample]:
    """Times of calls, for about so many seconds. The host does little but wait, so that nothing is left out for what it waits for."""
    found: list[Sample] = []
    end = time.perf_counter() + seconds
    while not found or time.perf_counter() < end:
        began = time.perf_counter()
        call()
        found.append((time.perf_counter() - began, 0.0))
    return found


def measured(training: Training, dtype: str, device: str, asked: argparse.Namespace) -> Result:
    say(f"{training.name}, {dtype}")
    both = jobs(training, dtype, device, asked.tiny)
    losses = {name: np.array([float(loss) for loss in job.call()]) for name, job in both.items()}
    apart = float(np.max(np.abs(losses["graphc"] - losses["jax"]) / np.abs(losses["jax"])))
    samplers = {name: partial(samples, job.call) for name, job in both.items()}
    times = {name: [seconds / PER_CALL for seconds, _ in found] for name, found in interleaved(samplers, asked.seconds).items()}
    medians = [statistics.median(times[name]) for name in ("graphc", "jax")]
    return Result(medians[0], medians[1], notch(times["graphc"]), notch(times["jax"]), apart)


HEAD = [
    "",
    "products",
    "graphc ms",
    "jax.jit ms",
    "graphc / jax.jit",
    "graphc TFLOP/s",
    "jax.jit TFLOP/s",
    "graphc / peak",
    "jax.jit / peak",
]


def row(training: Training, dtype: str, found: Result, kind: str, tiny: bool) -> list[str]:
    work, best = training.flops(tiny), peak(kind, dtype)
    noisy = "~" if abs(found.ours - found.theirs) < found.ours_notch + found.theirs_notch else " "
    speeds = [work / found.ours, work / found.theirs]
    return [
        training.title if not tiny else f"{training.name}, tiny",
        dtype,
        tables.number(1e3 * found.ours),
        tables.number(1e3 * found.theirs),
        f"{found.ours / found.theirs:.3f}{noisy}",
        *[tables.number(speed / 1e12) for speed in speeds],
        *[f"{speed / best:.2f}" if best else "" for speed in speeds],
    ]


# ---------------------------------------------------------------- the command
def device_kind(name: str) -> str | None:
    """What the first device of a platform is, or None where JAX sees none."""
    import jax

    try:
        return jax.devices(name)[0].device_kind
    except RuntimeError:
        return None


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    names = [training.name for training in TRAININGS]
    add("--platform", choices=("gpu", "tpu", "cpu"), default="gpu", help="of the device (%(default)s)")
    add("--only", nargs="+", choices=names, default=names, metavar="NAME", help=f"of {', '.join(names)} (all)")
    add("--dtypes", nargs="+", choices=DTYPES, default=DTYPES, metavar="DTYPE", help=f"of products, of {', '.join(DTYPES)} (both)")
    add("--seconds", type=float, default=5.0, metavar="S", help="of samples of each (%(default)s)")
    add("--tiny", action="store_true", help="tiny sizes: to see that it works")
    tables.add_markdown(parser)
    return parser


def about(kind: str, dtypes: Sequence[str]) -> str:
    """What the numbers depend on, as a line under the table."""
    packages = ", ".join(f"{name} {version}" for name, version in versions(["graphc-jax"]).items())
    parts = [f"{kind}, Python {platform.python_version()}, {packages}. SGD steps, {PER_CALL} until one is waited for."]
    if "float32" in dtypes and "NVIDIA" in kind:
        parts.append("float32 products as JAX has them by default: in TF32 from Ampere on.")
    if all(peak(kind, dtype) is None for dtype in dtypes):
        parts.append(f"The peak of {kind} is not in the table.")
    return " ".join([*parts, "~: the difference may be noise."])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print. 1 where there is no such device, or where the losses are not those of hand-written JAX."""
    asked = parser().parse_args(arguments)
    if asked.platform == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"  # before JAX looks for others: hand-written JAX runs on its default device
    kind = device_kind(asked.platform)
    if kind is None:
        extra = {"gpu": "cuda", "tpu": "tpu", "cpu": "jax"}[asked.platform]
        print(
            f'JAX sees no {asked.platform} here: pip install "graphc[{extra}]" where there is one, or --platform cpu --tiny',
            file=sys.stderr,
        )
        return 1
    rows, wrong = [], []
    for training in [training for training in TRAININGS if training.name in asked.only]:
        for dtype in asked.dtypes:
            found = measured(training, dtype, f"{asked.platform}:0", asked)
            rows.append(row(training, dtype, found, kind, asked.tiny))
            if not found.apart <= APART[dtype]:
                wrong.append(f"{training.name}, {dtype}: the losses are {found.apart:.1e} apart")
    tables.publish("\n\n".join([tables.table(HEAD, rows), *wrong, about(kind, asked.dtypes)]), "gpu", asked.markdown)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
