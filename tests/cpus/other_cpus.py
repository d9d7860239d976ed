"""The library on CPUs that this machine is not. qemu-x86_64 interprets its programs as an Intel CPU with AVX2 and nothing more, as one
without AVX, and as the first CPU with 64 bits: there an instruction above the CPU ends a program, whoever chose it.

    other_cpus.py CPU_SHOWN AGPNET OLD_CLIENT PLUGIN OPENCV_VERSION STAGES_TEST MAKE_TINY_SET
"""
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile

CPU_SHOWN, AGPNET, OLD_CLIENT, PLUGIN, OPENCV_VERSION, STAGES_TEST, MAKE_TINY_SET = sys.argv[1:]
QEMU = os.environ.get("AGPNET_QEMU") or shutil.which("qemu-x86_64")
LEVELS = {"Haswell-noTSX": "avx2", "Nehalem": "baseline", "qemu64": "baseline"}  # qemu's names, and ours
# In what every CPU has of schedules; the other stages take minutes. Those for AVX2 load masked, where qemu 7.2 reads beyond the end of an
# array: the tests labelled avx2 run them, at full speed.
STAGES = "*Residual.EqualsReference/baseline:*Perturb.EqualsReference/baseline"
SKIPPED = 77


def run(command, folder):
    done = subprocess.run(command, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def inspected(program, folder):
    lines = run([*program, "detect", "--json", "--precision", "fp32", "tiny.agp", "good/0.png"], folder)
    return json.loads(lines.splitlines()[0])["score"]


def check(cpu, level, expected, folder):
    """What is wrong on a CPU."""
    qemu = [QEMU, "-cpu", cpu]
    shown = run([*qemu, CPU_SHOWN], folder).split()[-1]
    if shown != level:
        yield f"the level is {shown}, expected {level}"
    registered = run([*qemu, OLD_CLIENT, PLUGIN, OPENCV_VERSION], folder)
    if registered != "registered\n":
        yield f"the plugin says {registered}"
    score = inspected([*qemu, AGPNET], folder)
    if not abs(score - expected) <= 1e-3 * expected:
        yield f"the score is {score}, on this machine's own CPU {expected}"
    tests = run([*qemu, STAGES_TEST, f"--gtest_filter={STAGES}"], folder)
    if "[  PASSED  ]" not in tests or "[  PASSED  ] 0 tests" in tests:
        yield f"the stages say {tests}"


def main():
    if not QEMU:
        print("skipped: no qemu-x86_64 (apt-get install qemu-user)")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory() as folder:
        run([MAKE_TINY_SET, folder], folder)
        run([AGPNET, "train", "--data", "good", "--out", "tiny.agp", "--backbone", "tiny.safetensors", "--config", "config.json"], folder)
        expected = inspected([AGPNET], folder)
        with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            found = pool.map(lambda entry: [f"{entry[0]}: {wrong}" for wrong in check(*entry, expected, folder)], LEVELS.items())
            wrong = [sentence for each in found for sentence in each]
    print("\n".join(wrong or [f"alike on {', '.join(LEVELS)}"]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
