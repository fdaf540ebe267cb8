#!/usr/bin/env bash
# Summary: build the C++ runner; or build its library and tests and run these.
#
# Usage: bash ascend310_infer/src/build.sh [--tests] [-DNAME=VALUE ...]
#   Without --tests it builds ascend310_infer/out/main with the libraries that the environment names: one of them at least. One that is not
#   named stays as it was in the build before; a name set to nothing leaves the library out.
#   --tests      needs no SDK
#   -DNAME=VALUE goes to CMake: -DOCRNET_SANITIZE=ON (AddressSanitizer and UndefinedBehaviorSanitizer), -DCMAKE_CXX_COMPILER=clang++
#
# Environment:
#   MS_LITE_HOME  MindSpore Lite: the folder of a release tarball (with runtime/include and runtime/lib) or of the unpacked wheel
#                 (with include and lib); `bash scripts/fetch_mindspore_lite.sh` gets the wheel and prints its folder
#   OPENVINO_HOME  OpenVINO 2024.6 or later: the folder `openvino` of the unpacked wheel (with include and libs) or that of an archive
#                 (with runtime/include and runtime/lib); `bash scripts/fetch_openvino.sh` gets the wheel and prints its folder
#   JOBS          how many files are compiled at a time (default: the number of cores)
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/../../scripts/lib/common.sh"

RUNNER="$ROOT/ascend310_infer"
BUILD="$RUNNER/build/runner"
LITE_HEADER=include/api/model.h
OPENVINO_HEADER=include/openvino/openvino.hpp
SDK=ON
DEFINITIONS=()
for argument in "$@"; do
  case "$argument" in
    -h | --help) print_help "$0"; exit 0 ;;
    --tests) SDK=OFF BUILD="$RUNNER/build/tests" ;;
    -D*=*) DEFINITIONS+=("$argument") ;;
    *) fail "$argument: unknown argument; --help lists them all" ;;
  esac
done

command -v cmake >/dev/null || fail "cmake is missing: install cmake, a C++17 compiler, libpng-dev and libjpeg-dev"
[[ " ${DEFINITIONS[*]-} " == *" -DOCRNET_SANITIZE=ON "* ]] && BUILD="$BUILD-sanitized"

# Leave unless a folder is a library's. $1: variable that names it. $2: the library. $3: script that fetches it. $4: file that it has, in
# the folder or in its folder runtime.
check_home() {
  local home="${!1}"
  [ -d "$home" ] || fail "$1=$home: no such folder; $3 prints one"
  [ -e "$home/$4" ] || [ -e "$home/runtime/$4" ] || fail "$1=$home: no $2 (no $4); $3 prints a folder that is"
}

# Print the folder of a library in the build before, if the library is still there. $1: variable that names it. $2: file that it has.
last_home() {
  local home
  home="$(sed -n "s/^$1:PATH=//p" "$BUILD/CMakeCache.txt" 2>/dev/null)" || true
  if [ -n "$home" ] && { [ -e "$home/$2" ] || [ -e "$home/runtime/$2" ]; }; then printf '%s\n' "$home"; fi
}

# Leave where OpenVINO is too old.
check_openvino() {
  local header="$OPENVINO_HOME/include/openvino/core/version.hpp" oldest found
  [ -e "$header" ] || header="$OPENVINO_HOME/runtime/include/openvino/core/version.hpp"
  oldest="$(sed -n 's/^set(OPENVINO_OLDEST \([0-9.]*\)).*/\1/p' "$RUNNER/src/CMakeLists.txt")"
  found="$(sed -n 's/^#define OPENVINO_VERSION_M[A-Z]* *\([0-9]*\)/\1/p' "$header" 2>/dev/null | head -n 2 | paste -s -d .)" || true
  [ "$(printf '%s\n' "$oldest" "$found" | sort -V | head -n 1)" = "$oldest" ] \
    || fail "OPENVINO_HOME=$OPENVINO_HOME is OpenVINO ${found:-without a version}, expected $oldest or later; scripts/fetch_openvino.sh prints the folder of one"
}

if [ "$SDK" = ON ]; then
  MS_LITE_HOME="${MS_LITE_HOME-$(last_home MS_LITE_HOME "$LITE_HEADER")}"
  OPENVINO_HOME="${OPENVINO_HOME-$(last_home OPENVINO_HOME "$OPENVINO_HEADER")}"
  [ -n "$MS_LITE_HOME$OPENVINO_HOME" ] \
    || fail "neither MS_LITE_HOME nor OPENVINO_HOME is set: scripts/fetch_mindspore_lite.sh and scripts/fetch_openvino.sh get the libraries and print the folders to set them to"
  [ -z "$MS_LITE_HOME" ] || check_home MS_LITE_HOME "MindSpore Lite" scripts/fetch_mindspore_lite.sh "$LITE_HEADER"
  [ -z "$OPENVINO_HOME" ] || check_home OPENVINO_HOME OpenVINO scripts/fetch_openvino.sh "$OPENVINO_HEADER"
  [ -z "$OPENVINO_HOME" ] || check_openvino
  for home in MS_LITE_HOME OPENVINO_HOME; do
    path="${!home:+$(realpath -- "${!home}")}"
    say "$home=${path:-(without)}"
    DEFINITIONS+=("-D$home=$path")
    # What was found in another home must not stay.
    grep -qsxF "$home:PATH=$path" "$BUILD/CMakeCache.txt" || rm -f -- "$BUILD/CMakeCache.txt"
  done
fi
mkdir -p -- "$BUILD"
cmake -S "$RUNNER/src" -B "$BUILD" "-DOCRNET_BUILD_SDK=$SDK" "${DEFINITIONS[@]}"
cmake --build "$BUILD" --parallel "${JOBS:-$(nproc)}"
[ "$SDK" = ON ] || (cd -- "$BUILD" && ctest --output-on-failure)
