#!/usr/bin/env bash
# Summary: install what the tests need and run every check: lint, types, shell scripts (bats too), C++ (ctest, sanitizers), Python tests.
#
# Usage: bash scripts/run_tests.sh [PYTEST_ARGUMENT ...]
#   Arguments go to pytest; without any, everything runs.
#
# Environment:
#   OCRNET_VENV  virtual environment, made when absent (default: .venv)
#   PYTHON       interpreter to make it with (default: python3)
#   OCRNET_REFERENCES  folder for mmsegmentation, timm and PaddleSeg, installed when absent (default: references in the virtual
#                environment; 0.9 GB); "none" leaves them out, and the tests that compare with them are skipped
#   OCRNET_BROWSER  a Chromium for the tests of report.html (default: one of the PATH; root gets Debian's chromium-headless-shell)
#   OCRNET_CACHE, MS_LITE_HOME  where MindSpore Lite is kept when fetched, or another one to use (scripts/fetch_mindspore_lite.sh --help)
#   OPENVINO_HOME  OpenVINO for the C++ runner (default: the one that requirements-deploy.txt installs)
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/lib/common.sh"

case "${1:-}" in
  -h | --help) print_help "$0"; exit 0 ;;
esac

# C++ pictures are read by libpng and libjpeg, whose headers a bare machine lacks.
prepare_cpp() {
  local lacking
  lacking="$(missing_for_cpp)"
  [ -z "$lacking" ] || fail "the C++ checks need $lacking (on Debian: apt-get install cmake g++ make libpng-dev libjpeg-dev)"
  if ! printf '#include <stdio.h>\n#include <png.h>\n#include <jpeglib.h>\n' | c++ -E -x c++ - >/dev/null 2>&1; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
      say "installing libpng-dev and libjpeg-dev"
      { apt-get update && apt-get install --yes --no-install-recommends libpng-dev libjpeg-dev; } >/dev/null \
        || say "they cannot be installed: the C++ tests of PNG and JPEG are left out"
    else
      say "no headers of libpng and libjpeg: the C++ tests of PNG and JPEG are left out (on Debian: apt-get install libpng-dev libjpeg-dev)"
    fi
  fi
}

# report.html is looked at in a real browser. Print which one, as tests/report/test_browser.py finds it, or that its tests are left out.
prepare_browser() {
  if [ -n "${OCRNET_BROWSER:-}" ]; then
    command -v "$OCRNET_BROWSER" || { echo "OCRNET_BROWSER: there is no $OCRNET_BROWSER"; return 1; }
    return
  fi
  find_browser && return
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "none: the tests of report.html in a browser are SKIPPED (on Debian: apt-get install chromium-headless-shell)"
    return
  fi
  { apt-get update && apt-get install --yes --no-install-recommends chromium-headless-shell; } >/dev/null || true
  find_browser || echo "none, and chromium-headless-shell cannot be installed: the tests of report.html in a browser are SKIPPED"
}

find_browser() {
  command -v chromium-headless-shell || command -v chromium || command -v chromium-browser || command -v google-chrome
}

# Build the C++ parts that need no SDK and run their tests, under AddressSanitizer and UBSan.
test_cpp() {
  bash "$ROOT/ascend310_infer/src/build.sh" --tests -DOCRNET_SANITIZE=ON
}

# Get MindSpore Lite, build the runner with it and the installed OpenVINO, which the end-to-end tests use, and run the C++ tests as they are:
# all are made of one library.
build_runner() {
  MS_LITE_HOME="${MS_LITE_HOME:-$(bash "$ROOT/scripts/fetch_mindspore_lite.sh")}" || return 1
  OPENVINO_HOME="${OPENVINO_HOME:-$(installed_openvino)}" || return 1
  MS_LITE_HOME="$MS_LITE_HOME" OPENVINO_HOME="$OPENVINO_HOME" bash "$ROOT/ascend310_infer/src/build.sh" -DOCRNET_BUILD_TESTS=ON || return 1
  (cd -- "$ROOT/ascend310_infer/build/runner" && ctest --output-on-failure)
}

# Print the folder of the OpenVINO that Python uses: its headers and libraries serve C++, too.
installed_openvino() {
  "$VENV/bin/python" -c 'import importlib.util; print(importlib.util.find_spec("openvino").submodule_search_locations[0])'
}

# Run the tests of the shell scripts, which wait for processes most of their time: each file beside the others.
test_scripts() {
  local file pids=() status=0
  for file in tests/scripts/*.bats; do
    "$VENV/bin/bats" --print-output-on-failure "$file" &
    pids+=($!)
  done
  for file in "${pids[@]}"; do wait "$file" || status=$?; done
  return "$status"
}

# Start a function beside what follows, which leaves a core idle; it gets a process group. $1: function; its output goes to build/$1.log.
start_aside() {
  set -m
  "$1" >"build/$1.log" 2>&1 &
  set +m
}

# Nothing goes on building when a check has failed, or on Ctrl-C.
end_builds() {
  local job
  for job in $(jobs -p); do kill -- "-$job" 2>/dev/null || true; done
}

# Wait for such a function; where it failed, show what it said and leave. $1: function. $2: its process.
wait_aside() { wait "$2" || { cat "build/$1.log" >&2; printf '%s failed; what it says is above\n' "$1" >&2; exit 1; }; }

cd "$ROOT"
mkdir -p build
trap end_builds EXIT
prepare_cpp
start_aside test_cpp
test_cpp_pid=$!
start_aside prepare_browser
prepare_browser_pid=$!
prepare_venv requirements-dev.txt
start_aside build_runner
build_runner_pid=$!
start_aside test_scripts
test_scripts_pid=$!
if [ "${OCRNET_REFERENCES:-}" != none ]; then
  OCRNET_REFERENCES="$(realpath -m -- "${OCRNET_REFERENCES:-$VENV/references}")"
  install_aside requirements-references.txt "$OCRNET_REFERENCES"
fi
export OCRNET_REFERENCES
say "dependencies agree"
"$VENV/bin/python" -m pip check
say "lint"
"$VENV/bin/ruff" check .
"$VENV/bin/ruff" format --check .
say "types"
"$VENV/bin/mypy"
say "shell scripts"
"$VENV/bin/shellcheck" --external-sources scripts/*.sh scripts/lib/*.sh scripts/lib/cuda11/bin/nvcc \
  tests/scripts/*.bats tests/scripts/*.bash tests/scripts/stubs/* ascend310_infer/src/*.sh .ci/run
wait_aside test_scripts "$test_scripts_pid"
say "$(grep -c '^ok ' build/test_scripts.log) tests of shell scripts passed"
say "C++: formatting, ctest as it is and under AddressSanitizer and UBSan, the runner"
"$VENV/bin/clang-format" --dry-run -Werror ascend310_infer/inc/*.h ascend310_infer/src/*.cc ascend310_infer/tests/*.{cc,h}
wait_aside test_cpp "$test_cpp_pid"
wait_aside build_runner "$build_runner_pid"
grep 'tests passed' build/test_cpp.log build/build_runner.log
wait_aside prepare_browser "$prepare_browser_pid"
say "browser: $(tail -n 1 build/prepare_browser.log)"
say "tests"
exec "$VENV/bin/python" -m pytest "$@"
