#!/usr/bin/env bash
# Every CUDA schedule's code assembles for each GPU from Turing to Blackwell with the registers that Halide's runtime allows it, and none
# spills. Requires ptxas, of a CUDA toolkit or of pip's nvidia-cuda-nvcc; without it this exits with 77.
#     assemble_ptx_test.sh CUDA_CALLS_TEST FOLDER_OF_THE_FAKE_DRIVER [PTXAS]
set -euo pipefail
ptxas=${3:-$(command -v ptxas || true)}
[ -n "$ptxas" ] || { echo "skipped: ptxas is not on the PATH"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
LD_LIBRARY_PATH=$2 "$1" --gtest_filter='*OnlyLaunches*' --ptx "$folder" > /dev/null
mapfile -t modules < <(md5sum "$folder"/*.ptx | sort | awk '!seen[$1]++ {print $2}') # one for each of two devices
kernels=0
for module in "${modules[@]}"; do
    for architecture in 75 80 86 89 90 100 120; do
        "$ptxas" -arch=sm_$architecture --maxrregcount 64 -v "$module" -o "$folder/code" 2> "$folder/said" ||
            { cat "$folder/said" >&2; exit 1; }
        if grep 'spill' "$folder/said" | grep -v ' 0 bytes spill stores, 0 bytes spill loads'; then
            echo "spills on sm_$architecture" >&2
            exit 1
        fi
        kernels=$((kernels + $(grep -c 'Used .* registers' "$folder/said")))
    done
done
[ "$kernels" -ge 250 ] || { echo "only $kernels kernels were assembled" >&2; exit 1; }
echo "$kernels kernels of ${#modules[@]} modules"
