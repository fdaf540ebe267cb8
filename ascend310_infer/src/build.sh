#!/usr/bin/env bash
# Summary: build the C++ runner; or build its library and tests and run these.
#
# Usage: bash ascend310_infer/src/build.sh [--tests] [-DNAME=VALUE ...]
#   Without --tests it builds ascend310_infer/out/main, which needs MindSpore Lite.
#   --tests      needs no SDK
#   -DNAME=VALUE goes to CMake: -DOCRNET_SANITIZE=ON (AddressSanitizer and UndefinedBehaviorSanitizer), -DCMAKE_CXX_COMPILER=clang++
#
# Environment:
#   MS_LITE_HOME  MindSpore Lite: the folder of a release tarball (with runtime/include and runtime/lib) or of the unpacked wheel
#                 (with include and lib); `bash scripts/fetch_mindspore_lite.sh` gets the wheel and prints its folder
#   JOBS          how many files are compiled at a time (default: the number of cores)
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/../../scripts/lib/common.sh"

RUNNER="$ROOT/ascend310_infer"
BUILD="$RUNNER/build/runner"
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
if [ "$SDK" = ON ]; then
  [ -n "${MS_LITE_HOME:-}" ] || fail "MS_LITE_HOME is not set: scripts/fetch_mindspore_lite.sh gets MindSpore Lite and prints the folder to set it to"
  [ -d "$MS_LITE_HOME" ] || fail "MS_LITE_HOME=$MS_LITE_HOME: no such folder; scripts/fetch_mindspore_lite.sh prints one"
  [ -e "$MS_LITE_HOME/runtime/include/api/model.h" ] || [ -e "$MS_LITE_HOME/include/api/model.h" ] \
    || fail "MS_LITE_HOME=$MS_LITE_HOME: no MindSpore Lite (no include/api/model.h); scripts/fetch_mindspore_lite.sh prints a folder that is"
  MS_LITE_HOME="$(realpath -- "$MS_LITE_HOME")"
  DEFINITIONS+=("-DMS_LITE_HOME=$MS_LITE_HOME")
  # What was found in another home must not stay.
  grep -qsxF "MS_LITE_HOME:PATH=$MS_LITE_HOME" "$BUILD/CMakeCache.txt" || rm -f -- "$BUILD/CMakeCache.txt"
fi
mkdir -p -- "$BUILD"
cmake -S "$RUNNER/src" -B "$BUILD" "-DOCRNET_BUILD_SDK=$SDK" "${DEFINITIONS[@]}"
cmake --build "$BUILD" --parallel "${JOBS:-$(nproc)}"
[ "$SDK" = ON ] || (cd -- "$BUILD" && ctest --output-on-failure)
