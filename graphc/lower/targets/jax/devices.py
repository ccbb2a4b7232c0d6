"""What JAX sees: its devices, by the names that ``device=`` takes, and meshes of them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from math import prod
from typing import Any, Final

from graphc.core.errors import BackendError

PLATFORMS: Final = ("cpu", "gpu", "tpu")
_EXTRAS: Final = {
    "cpu": 'pip install "graphc[jax]"',
    "gpu": 'pip install "graphc[cuda]" for NVIDIA GPUs ("graphc[cuda12]" for drivers older than 580)',
    "tpu": 'pip install "graphc[tpu]"',
}
_INSTALL: Final = 'pip install "graphc[jax]" for CPU, "graphc[cuda]" for NVIDIA GPUs, "graphc[tpu]" for TPUs; or backend="numpy"'
_ALIASES: Final = {"cuda": "gpu", "rocm": "gpu"}


def import_jax() -> Any:
    """The module jax, or an error that says how to get it, whatever goes wrong while it is imported."""
    try:
        import jax
    except Exception as error:
        raise BackendError(
            f"backend='jax' needs JAX, which does not import: {error}",
            fits=_INSTALL,
        ) from error
    return jax


def default_platform() -> str:
    """The platform that JAX takes by itself: ``"cpu"``, ``"gpu"`` or ``"tpu"``.

    Raises :class:`BackendError` where none starts, as when ``$JAX_PLATFORMS`` names one that is not installed.
    """
    try:
        return import_jax().default_backend()
    except (RuntimeError, AssertionError) as error:  # of JAX: a platform that does not start, and none that does
        asked = os.environ.get("JAX_PLATFORMS")
        raise BackendError(
            f"JAX has no device that works{f': {error}' if str(error) else ''}",
            given=[f"JAX_PLATFORMS={asked}"] if asked else [],
            fits=f"{'JAX_PLATFORMS without it' if asked else 'JAX_PLATFORMS=cpu'}; or {_INSTALL}",
        ) from error


def local_devices(platform: str) -> list[Any]:
    """The devices of a platform that belong to this process; none where JAX has no such platform."""
    try:
        return list(import_jax().local_devices(backend=platform))
    except RuntimeError:  # what JAX raises for a platform that is not there, or whose driver does not start
        return []


def seen() -> list[str]:
    """A line for each device of this process: its name, what it is, and its memory where JAX knows it.

    The first is JAX's default.
    """
    default = default_platform()
    platforms = sorted(PLATFORMS, key=lambda platform: _ALIASES.get(default, default) != platform)
    return [_line(f"{platform}:{i}", device) for platform in platforms for i, device in enumerate(local_devices(platform))]


def _line(name: str, device: Any) -> str:
    known: Mapping[str, int] = (device.memory_stats() or {}) if device.platform != "cpu" else {}
    memory = known.get("bytes_limit")
    return f"{name}  {device.device_kind}" + (f", {memory / 2**30:.1f} GiB" if memory else "")


def device(name: str) -> Any:
    """The device called ``"gpu:0"``, or ``"gpu"``, which is the first. Raises :class:`BackendError` for one that JAX does not see."""
    found = re.fullmatch(r"(cpu|gpu|tpu|cuda|rocm)(?::(\d+))?", name)
    if not found:
        raise BackendError(f"device={name!r} is no name of a device", given=_given(), fits='"cpu", "gpu:0", "tpu:3"')
    default_platform()  # says it where JAX has no platform at all
    platform, number = found[1], int(found[2] or 0)
    devices = local_devices(platform)
    if number < len(devices):
        return devices[number]
    if devices:
        fits = _numbered(platform, len(devices))
        raise BackendError(f"device={name!r}: there is no {platform} of this number", given=_given(), fits=fits)
    kind = _ALIASES.get(platform, platform)
    raise BackendError(f"device={name!r}: JAX sees no {platform}", given=_given(), fits=f"a device that it sees, or {_EXTRAS[kind]}")


def _numbered(platform: str, count: int) -> str:
    return f"{platform}:0" if count == 1 else f"{platform}:0 to {platform}:{count - 1}"


def _given() -> list[str]:
    return ["JAX sees", *[f"  {line}" for line in seen()]]


def mesh(sizes: Mapping[str, int]) -> Any:
    """A mesh of devices, of all processes, with these named axes; an axis of -1 takes what the others leave.

    A mesh of fewer devices than there are takes the first ones. The sharding of what is computed on it is left to the compiler.
    Raises :class:`BackendError` for more devices than there are, or an axis of -1 that does not come out even.
    """
    default_platform()
    jax = import_jax()
    devices = jax.devices()
    sizes = _complete(sizes, len(devices))
    count = prod(sizes.values())
    if count > len(devices):
        raise BackendError(f"mesh={sizes} has {count} devices, and JAX sees {len(devices)}", given=_given(), fits=_fits(len(devices)))
    auto = (jax.sharding.AxisType.Auto,) * len(sizes)
    return jax.make_mesh(tuple(sizes.values()), tuple(sizes), axis_types=auto, devices=devices[:count])


def _complete(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """The sizes with a number for -1."""
    known = prod(size for size in sizes.values() if size != -1)
    if -1 in sizes.values() and count % known:
        raise BackendError(
            f"mesh={dict(sizes)}: {count} devices do not make rows of {known}",
            given=_given(),
            fits=f"sizes whose product divides {count}",
        )
    return {name: count // known if size == -1 else size for name, size in sizes.items()}


def _fits(count: int) -> str:
    simulated = "XLA_FLAGS=--xla_force_host_platform_device_count=8 simulates 8 on a CPU"
    return f"sizes whose product is at most {count}; {simulated}"
