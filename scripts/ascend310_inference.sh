#!/usr/bin/env bash
# Summary: run an exported model in C++ on an Ascend device; scripts/run_cpp_infer.sh does the work, see its --help.
#
# Usage: bash scripts/ascend310_inference.sh MINDIR_PATH DATA_PATH [DEVICE_ID]
#   MINDIR_PATH  model that export.py wrote, with its manifest (.json) beside it
#   DATA_PATH    folder of the data set that the model was trained for
#   DEVICE_ID    number of the Ascend device (default: 0)
#
# Environment:
#   MS_LITE_HOME  MindSpore Lite for Ascend: a release tarball, unpacked
#   OUTPUT_PATH, BATCH, THREADS, OCRNET_VENV  as for scripts/run_cpp_infer.sh
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/lib/common.sh"

case "${1:-}" in
  -h | --help) print_help "$0"; exit 0 ;;
esac
[ $# -ge 2 ] && [ $# -le 3 ] || fail "expected MINDIR_PATH DATA_PATH [DEVICE_ID], got $# arguments (see --help)"
exec bash "$ROOT/scripts/run_cpp_infer.sh" "$1" "$2" Ascend "${3:-0}"
