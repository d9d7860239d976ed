#!/usr/bin/env bash
# The package for GPU machines builds by itself, its tests for the CPU pass, and those for the GPU are there.
#     gpu_package_test.sh SOURCE BUILD CMAKE CTEST [cmake arguments: how the build itself was made]
set -euo pipefail
cmake=$3
ctest=$4
how=("${@:5}")
folder=$2/gpu_package_test # always the same, for ccache
rm -rf "$folder"
mkdir "$folder"
trap 'rm -rf "$folder"' EXIT
"$1/scripts/gpu-package" "$folder/package" "$2"
[ "$(du -sm "$folder/package" | cut -f1)" -lt 60 ]
launcher=$(command -v ccache || true)
"$cmake" -S "$folder/package" -B "$folder/build" "${how[@]}" -DCMAKE_CXX_COMPILER_LAUNCHER="$launcher" > /dev/null
"$cmake" --build "$folder/build" -j 2
"$ctest" --test-dir "$folder/build" -R 'Residual.*/(baseline|avx2)|EachDevice.*/fake' --output-on-failure
for tests in 'Residual.*/cuda' 'EachDevice.*/cuda'; do
    "$ctest" --test-dir "$folder/build" -N -L gpu -R "$tests" | grep -E 'Total Tests: ([5-9]|[1-9][0-9])'
done
"$folder/build/inspection_bench" cpu 0.01 1 | grep -E '^\| bf16 \| 1 \|'
if ldd "$folder/build/stages_test" "$folder/build/devices_test" | grep -iE 'opencv|halide|opencl|libcuda\.'; then
    echo "the package needs what it should not" >&2
    exit 1
fi
