#!/usr/bin/env bash
# The package for GPU machines builds by itself, its tests for the CPU pass, and those for the GPU are there.
#     gpu_package.sh SOURCE BUILD CMAKE CTEST [cmake arguments: how the build itself was made]
set -euo pipefail
cmake=$3
ctest=$4
how=("${@:5}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1/scripts/gpu-package" "$folder/package" "$2"
[ "$(du -sm "$folder/package" | cut -f1)" -lt 60 ]
launcher=$(command -v ccache || true)
"$cmake" -S "$folder/package" -B "$folder/build" "${how[@]}" -DCMAKE_CXX_COMPILER_LAUNCHER="$launcher" > /dev/null
"$cmake" --build "$folder/build" -j 2
"$ctest" --test-dir "$folder/build" -R 'Residual.*/(baseline|avx2)' --output-on-failure
"$ctest" --test-dir "$folder/build" -N -L gpu | grep -E 'Total Tests: [1-9][0-9]'
if ldd "$folder/build/stages_test" | grep -iE 'opencv|halide|opencl|cuda'; then
    echo "the package needs what it should not" >&2
    exit 1
fi
