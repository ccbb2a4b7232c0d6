"""A whole process: ``python -m benchmarks.once W6 graphc`` imports the contestant, does one call and exits."""

import sys

from benchmarks.contestants import contestant, words
from benchmarks.workload import workloads

if __name__ == "__main__":
    name, who, threads, tiny = sys.argv[1:]
    workload, one = workloads()[name], contestant(who)
    one.start(int(threads))
    one.build(workload.model[words(who)], workload.task(tiny == "tiny")).call()
