"""JAX's persistent compilation cache: what XLA compiled, kept in a folder for later processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from graphc.core.errors import BackendError
from graphc.core.folder import cache_folder
from graphc.lower.targets.jax.devices import import_jax


def keep_compiled(where: Literal[True] | str | os.PathLike[str]) -> None:
    """Let JAX keep what it compiles from now on, in this process, in a folder; small programs too, which it leaves out by itself.

    True is a folder that JAX was told of before (``$JAX_COMPILATION_CACHE_DIR``), or one in graphc's cache. Raises
    :class:`BackendError` for a folder that cannot be made.
    """
    jax = import_jax()
    before: Any = jax.config.jax_compilation_cache_dir
    folder: str = str(before or os.path.join(cache_folder(), "jax")) if where is True else os.fspath(where)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BackendError(f"cache={folder!r}: the folder cannot be made: {error}", fits="a folder that can be written") from error
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    if folder != before:
        from jax.experimental.compilation_cache import compilation_cache

        jax.config.update("jax_compilation_cache_dir", folder)
        compilation_cache.reset_cache()  # JAX asks once, at its first compilation, whether there is a cache
