"""Exact search by AGPNet and by FAISS (IndexFlatIP, pip install faiss-cpu numpy) in turns, on the same numbers of rows and threads:
    python compare_faiss.py BUILD/benchmarks/nearest_bench [--threads N] [--rounds N]
Prints the fastest call of each, in milliseconds, as a table."""
import argparse
import json
import subprocess
import time

import faiss
import numpy

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("bench", help="the program nearest_bench")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--rows", type=int, default=100000)
parser.add_argument("--length", type=int, default=384)
parser.add_argument("--k", type=int, default=10)
arguments = parser.parse_args()

random = numpy.random.default_rng(1)
gallery = random.standard_normal((arguments.rows, arguments.length), dtype=numpy.float32)
gallery /= numpy.linalg.norm(gallery, axis=1, keepdims=True)
faiss.omp_set_num_threads(arguments.threads)
index = faiss.IndexFlatIP(arguments.length)
index.add(gallery)


def of_faiss(queries):
    """The fastest of some calls."""
    batch = gallery[:queries] + 0.1 * random.standard_normal((queries, arguments.length), dtype=numpy.float32)
    best, end = float("inf"), time.perf_counter() + 0.5
    while best == float("inf") or time.perf_counter() < end:
        begin = time.perf_counter()
        index.search(batch, arguments.k)
        best = min(best, time.perf_counter() - begin)
    return 1e3 * best


def of_agpnet(name):
    """The fastest of some repetitions."""
    said = subprocess.run([arguments.bench, f"--benchmark_filter=^{name}/real_time$", "--benchmark_format=json",
                           "--benchmark_repetitions=10", "--benchmark_min_time=0.05", f"--threads={arguments.threads}",
                           f"--rows={arguments.rows}", f"--length={arguments.length}", f"--k={arguments.k}"],
                          check=True, capture_output=True, text=True).stdout
    return min(run["real_time"] for run in json.loads(said)["benchmarks"] if run["run_type"] == "iteration")


print(f"{arguments.rows} rows of {arguments.length} values, the {arguments.k} nearest, threads: {arguments.threads}; "
      f"FAISS {faiss.__version__}\n")
print("| queries | FAISS, float32 | float32 | float16 | int8 |\n|---|---|---|---|---|")
for queries in (1, 4, 32, 256):
    best = {}
    for _ in range(arguments.rounds):
        turns = [("faiss", lambda: of_faiss(queries))]
        turns += [(kind, lambda kind=kind: of_agpnet(f"{kind}/{queries}")) for kind in ("float32", "float16", "int8")]
        for name, turn in turns:
            best[name] = min(best.get(name, float("inf")), turn())
    print(f"| {queries} | " + " | ".join(f"{best[name]:.2f}" for name in ("faiss", "float32", "float16", "int8")) + " |", flush=True)
