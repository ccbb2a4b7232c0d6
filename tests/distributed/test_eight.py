"""8 simulated devices need a process of their own: XLA reads their number when it starts. One process does all the checks of eight.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_eight_simulated_devices(tmp_path: Path) -> None:
    flags = "--xla_force_host_platform_device_count=8 --xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(HERE.parents[1])}
    # Many checks compile the same program. With the level of optimisation this takes the time to half.
    environment |= {"JAX_COMPILATION_CACHE_DIR": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    command = [sys.executable, "-W", "error", str(HERE / "eight.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    results: dict[str, str] = json.loads(done.stdout)
    assert len(results) > 20
    failed = {name: error for name, error in results.items() if error}
    assert not failed, "\n".join([", ".join(failed), *failed.values()])
