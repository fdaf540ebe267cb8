#!/usr/bin/env bash
# Summary: run an exported model in C++ on the validation pictures and print its mIoU.
#
# Usage: bash scripts/run_cpp_infer.sh MINDIR_PATH DATA_PATH [DEVICE_TYPE] [DEVICE_ID]
#   MINDIR_PATH  model that export.py wrote, with its manifest (.json) beside it: F.mindir, or F_lite2.mindir for MindSpore Lite 2.0;
#                where that version is at hand, a native file is lowered first
#   DATA_PATH    folder of the data set that the model was trained for
#   DEVICE_TYPE  CPU, GPU or Ascend (default: Ascend)
#   DEVICE_ID    number of the device (default: 0)
#
# Leaves in the current folder: preprocess_Result/ (inputs, labels), result_Files/ (predicted labels), infer.log (times, memory, library),
# acc.log (mIoU), build.log, and lowered/ where the model was lowered. What an earlier call left there is replaced; logs of these names that
# are somebody else's are refused. It stops at the first step that fails, with its status; an interrupt or SIGTERM stops the step too.
#
# Environment:
#   OUTPUT_PATH   folder for the results (default: the current one)
#   MS_LITE_HOME  MindSpore Lite: a release tarball unpacked, or an unpacked wheel; without it, scripts/fetch_mindspore_lite.sh gets
#                 version 2.0.0 for DEVICE_TYPE CPU on x86-64
#   THREADS       CPU threads of the inference (default: all cores)
#   OCRNET_VENV   virtual environment whose Python is used where there is one (default: .venv), else python3
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/lib/common.sh"
# shellcheck source=scripts/lib/steps.sh
source "$ROOT/scripts/lib/steps.sh"

MAIN="$ROOT/ascend310_infer/out/main"
MARK=.run_cpp_infer # in the output folder: its logs are ours; locked while a call works there
LOGS=(build.log infer.log acc.log)
LOG_LINES=5 # of a log, shown where a step fails

case "${1:-}" in
  -h | --help) print_help "$0"; exit 0 ;;
esac
[ $# -ge 2 ] && [ $# -le 4 ] || fail "expected MINDIR_PATH DATA_PATH [DEVICE_TYPE] [DEVICE_ID], got $# arguments (see --help)"
mindir="$(realpath -m -- "$1")"
data_path="$(realpath -m -- "$2")"
case "${3:-Ascend}" in
  [Cc][Pp][Uu]) device_type=CPU ;;
  [Gg][Pp][Uu]) device_type=GPU ;;
  [Aa][Ss][Cc][Ee][Nn][Dd]) device_type=Ascend ;;
  *) fail "DEVICE_TYPE '$3': expected CPU, GPU or Ascend" ;;
esac
device_id="${4:-0}"
[[ "$device_id" =~ ^[0-9]+$ ]] || fail "DEVICE_ID '$device_id': expected a number from 0"
[ -z "${THREADS:-}" ] || [[ "$THREADS" =~ ^[1-9][0-9]*$ ]] || fail "THREADS '$THREADS': expected a number from 1"
[ -f "$mindir" ] || fail "MINDIR_PATH $1: no such file; export.py writes it"
[ -f "${mindir%.*}.json" ] || fail "MINDIR_PATH $1: no manifest $(basename "${mindir%.*}").json beside it; export.py writes both"
[ -d "$data_path" ] || fail "DATA_PATH $2: no such folder"
output="$(realpath -m -- "${OUTPUT_PATH:-$PWD}")"
python="$(find_python)"
require_packages "$python" mindspore omegaconf cv2 imagecodecs
kind="$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["model"]["kind"])' "${mindir%.*}.json" 2>/dev/null)" \
  || fail "${mindir%.*}.json: no manifest of export.py; export the model anew"
lacking="$(missing_for_cpp)"
[ -z "$lacking" ] || [ -x "$MAIN" ] \
  || fail "building the C++ program needs $lacking (on Debian: apt-get install cmake g++ make libpng-dev libjpeg-dev)"
[ -n "${MS_LITE_HOME:-}" ] || [ "$device_type" = CPU ] \
  || fail "DEVICE_TYPE $device_type needs a MindSpore Lite for it: set MS_LITE_HOME to the unpacked release, or give DEVICE_TYPE CPU"

# Run a step with its output in a log; where it fails, show the end of the log and leave with its status.
# $1: log. $2: what it is, for the message. The rest: the command.
run_logged() {
  local log="$1" what="$2" status=0
  shift 2
  run_step "$@" >"$log" 2>&1 || status=$?
  if [ "$status" -ne 0 ]; then
    printf '%s: %s failed with status %s; the end of %s:\n' "$(basename "$0")" "$what" "$status" "$log" >&2
    tail -n "$LOG_LINES" -- "$log" >&2 || true
    exit "$status"
  fi
}

# Make the output folder this call's own, and remove the logs of an earlier one. Anybody else's logs are refused.
open_output() {
  local log
  mkdir -p -- "$output" || fail "OUTPUT_PATH $output cannot be made"
  for log in "${LOGS[@]}"; do
    [ -e "$output/$MARK" ] || [ ! -e "$output/$log" ] \
      || fail "$output/$log is not from an earlier call; move it away, or choose another folder by OUTPUT_PATH"
  done
  exec {lock}>"$output/$MARK" || fail "$output cannot be written to; choose another folder by OUTPUT_PATH"
  flock --nonblock "$lock" || fail "another call works in $output; wait for it, or choose another folder by OUTPUT_PATH"
  rm -f -- "${LOGS[@]/#/$output/}"
}

open_output
[ -n "${MS_LITE_HOME:-}" ] || MS_LITE_HOME="$(bash "$ROOT/scripts/fetch_mindspore_lite.sh")"
export MS_LITE_HOME
if [ -z "$lacking" ]; then
  say "building $MAIN"
  run_logged "$output/build.log" "building the C++ program" bash "$ROOT/ascend310_infer/src/build.sh"
fi

version="$("$MAIN" --version)"
if [ "$kind" = native ] && [[ "$version" == *"MindSpore Lite 2.0."* ]]; then
  lowered="$output/lowered/$(basename "$mindir")"
  mkdir -p -- "$output/lowered" || fail "$output/lowered cannot be made; choose another folder by OUTPUT_PATH"
  say "lowering $mindir for MindSpore Lite 2.0"
  PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" run_step "$python" -m src.deploy.lower "$mindir" "$lowered"
  mindir="$lowered"
fi

say "preprocessing $data_path"
run_step "$python" "$ROOT/preprocess.py" --data_path "$data_path" --train_path "$output/preprocess_Result" --manifest "${mindir%.*}.json"

command=("$MAIN" --mindir_path "$mindir" --dataset_path "$output/preprocess_Result" --device_type "$device_type" --device_id "$device_id"
  --result_path "$output/result_Files")
[ -z "${THREADS:-}" ] || command+=(--threads "$THREADS")
say "inferring:$(printf ' %q' "${command[@]}")"
run_logged "$output/infer.log" "inference" "${command[@]}"
cat -- "$output/infer.log"

say "scoring"
run_logged "$output/acc.log" "postprocess.py" "$python" "$ROOT/postprocess.py" --result_path "$output/result_Files" \
  --label_path "$output/preprocess_Result"
cat -- "$output/acc.log"
