#!/usr/bin/env bash
# The package as its users meet it: installed into an empty prefix, used by a CMake project, by pkg-config, from Python and by the program.
#   installed_test.sh CMAKE BUILD MAKE_TINY_SET
set -euo pipefail
cmake=$1 build=$2 make_tiny_set=$3
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
fail() { echo "installed_test.sh: $*" >&2; exit 1; }
export OMP_NUM_THREADS=1
export CMAKE_GENERATOR=Ninja PATH=$(dirname "$cmake"):$PATH # make need not be there
unset AGPNET_PLUGIN LD_LIBRARY_PATH PYTHONPATH

"$cmake" --install "$build" --prefix "$prefix" >"$work/install.log" || { cat "$work/install.log"; fail "cmake --install failed"; }
lib=$prefix/lib
[ -e "$lib/libagpnet.so.0" ] || fail "no libagpnet.so.0 in $lib"
[ "$(readlink "$lib/libagpnet.so")" = libagpnet.so.0 ] || fail "libagpnet.so is no link to the versioned name"
[[ $(readelf -d "$lib/libagpnet.so.0") == *"soname: [libagpnet.so.0]"* ]] || fail "libagpnet.so.0 is called otherwise within"

# Nothing that is installed looks into the build, the sources or the wheels.
for file in "$lib/libagpnet.so.0" "$prefix/bin/agpnet"; do
    paths=$(readelf -d "$file" | sed -n 's/.*R[UN]*PATH).*\[\(.*\)\]/\1/p')
    [[ -z $paths || ( $paths == '$ORIGIN'* && $paths != *:* ) ]] || fail "$file looks for libraries in '$paths'"
done
! grep -rlF -e "$source" -e "$build" "$lib/cmake" "$lib/pkgconfig" || fail "a package file names the build"
loaded=$(ldd "$prefix/bin/agpnet")
[[ $loaded != *"not found"* ]] || fail "not every library is found: $loaded"
torch=$(sed -n 's/.*libtorch_cpu.so => \([^ ]*\).*/\1/p' <<<"$loaded")
[ ! -e "$lib/agpnet/libtorch_cpu.so" ] || [ "$torch" -ef "$lib/agpnet/libtorch_cpu.so" ] || fail "LibTorch is loaded from $torch"

# The program.
"$make_tiny_set" "$work"
"$prefix/bin/agpnet" train --data "$work/good" --out "$work/tiny.agp" --backbone "$work/tiny.safetensors" --config "$work/config.json" \
    >"$work/train.log" 2>&1 || { cat "$work/train.log"; fail "training failed"; }
"$prefix/bin/agpnet" export "$work/tiny.agp" --onnx-graph "$work/tiny.onnx" --size 40x48 >/dev/null
expected=$("$prefix/bin/agpnet" detect --json "$work/tiny.agp" "$work/good/0.png" | sed -n 's/.*"score": *\([0-9.]*\).*/\1/p')
[ -n "$expected" ] || fail "detect gave no score"
close() { awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(a > 0 && d < 1e-3 && d > -1e-3) }' || fail "$3: score $1, expected $2"; }
score() { sed -n 's/.*score \([0-9.]*\).*/\1/p' <<<"$1"; }

# A CMake project.
"$cmake" -S "$prefix/share/agpnet/samples" -B "$work/samples" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Debug \
    >"$work/configure.log" 2>&1 ||
    { cat "$work/configure.log"; fail "the samples cannot be configured"; }
"$cmake" --build "$work/samples" >"$work/build.log" 2>&1 || { cat "$work/build.log"; fail "the samples cannot be built"; }
bin=$work/samples/bin
close "$(score "$("$bin/sample_detect" "$work/tiny.agp" "$work/good/0.png")")" "$expected" sample_detect
close "$(score "$("$bin/sample_detect_c" "$work/tiny.agp" "$work/0.ppm")")" "$expected" sample_detect_c
[[ $("$bin/sample_detect_c" "$work/tiny.agp" "$work/0.ppm" 100) == *anomalous*region* ]] || fail "sample_detect_c lists no region"
close "$(score "$("$bin/sample_inspect" "$lib/libagpnet.so" "$work/tiny.onnx" "$work/good/0.png")")" "$expected" sample_inspect
"$prefix/bin/agpnet" export "$work/tiny.agp" --onnx-graph "$work/stages.onnx" --stages --size 40x48 >/dev/null
own=$(AGPNET_PLUGIN=$lib/libagpnet.so "$bin/sample_custom_stage" "$work/stages.onnx" "$work/good/0.png" 2>/dev/null) ||
    fail "sample_custom_stage failed"
close "$(sed -n 's/.*Residual again \([0-9.]*\).*/\1/p' <<<"$own")" "$expected" sample_custom_stage
[[ $("$bin/sample_stages" "$work/good/0.png" "$work/good/0.png" "$work/map.png") == *"cpu: score 0.000000"* ]] ||
    fail "sample_stages sees a difference"
[[ $("$bin/sample_watch_camera" "$work/tiny.agp" "$work/good/%d.png" "$work/out.avi" 2>/dev/null) == *"of 6 frames anomalous"* ]] ||
    fail "sample_watch_camera failed"
printf 'cmake_minimum_required(VERSION 3.18)\nproject(x CXX)\nfind_package(agpnet 0.1 REQUIRED COMPONENTS gui)\n' >"$work/CMakeLists.txt"
if "$cmake" -S "$work" -B "$work/x" -DCMAKE_PREFIX_PATH="$prefix" >"$work/gui.log" 2>&1; then
    fail "a component that is not there was found"
fi
grep -q "no component 'gui'" "$work/gui.log" || fail "a component that is not there is not named"

# pkg-config.
export PKG_CONFIG_PATH=$lib/pkgconfig
[ "$(pkg-config --modversion agpnet)" = "$("$prefix/bin/agpnet" --version)" ] || fail "pkg-config names another version"
# shellcheck disable=SC2046  # words are wanted
c++ -std=c++17 "$source/samples/cpp/detect.cpp" -o "$work/by_pkg_config" $(pkg-config --cflags --libs agpnet) -Wl,-rpath,"$lib"
close "$(score "$("$work/by_pkg_config" "$work/tiny.agp" "$work/good/0.png")")" "$expected" "built by pkg-config"

# Python: as installed, and by pip.
site=$lib/python3/dist-packages samples=$prefix/share/agpnet/samples/python
close "$(score "$(PYTHONPATH=$site /usr/bin/python3 "$samples/detect.py" "$work/tiny.agp" "$work/good/0.png")")" "$expected" detect.py
[[ $(PYTHONPATH=$site /usr/bin/python3 "$samples/detect.py" "$work/tiny.agp" "$work/good/0.png" 100) == *anomalous*region* ]] ||
    fail "detect.py lists no region"
PYTHONPATH=$site /usr/bin/python3 "$samples/train.py" "$work/tiny.safetensors" "$work/config.json" "$work/trained.agp" "$work"/good/*.png \
    >"$work/train.py.log" ||
    fail "train.py failed"
close "$(score "$("$bin/sample_detect" "$work/trained.agp" "$work/good/0.png")")" "$expected" "a model of train.py"
/usr/bin/python3 "$source/tests/package/python_package.py" "$site" "$work" "$expected"
pip=$(dirname "$cmake")/python
if [ -x "$pip" ] && "$pip" -c 'import pip, setuptools' 2>/dev/null; then
    cp -r "$source/python" "$work/python"
    "$pip" -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --target "$work/site" "$work/python"
    AGPNET_PLUGIN=$lib/libagpnet.so.0 /usr/bin/python3 "$source/tests/package/python_package.py" "$work/site" "$work" "$expected"
else
    echo "installed_test.sh: pip is not beside $cmake; 'pip install ./python' was left out"
fi
echo "installed package: fine, $(du -sh "$prefix" | cut -f1)"
