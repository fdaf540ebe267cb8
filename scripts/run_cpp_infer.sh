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
# acc.log (mIoU), build.log, and lowered/ where the model was lowered. What an earlier call left there is replaced; a folder or
# log of that name that is not from one is refused. It stops at the first step that fails, with its status.
#
# Environment:
#   OUTPUT_PATH   folder for the results (default: the current one)
#   MS_LITE_HOME  MindSpore Lite: a release tarball unpacked, or an unpacked wheel; without it, scripts/fetch_mindspore_lite.sh gets
#                 version 2.0.0 for DEVICE_TYPE CPU on x86-64
#   THREADS       CPU threads of the inference (default: all cores)
#   OCRNET_VENV   virtual environment whose Python is used where there is one (default: .venv), else python3
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

MAIN="$ROOT/ascend310_infer/out/main"
MARK=.run_cpp_infer # in result_Files: whose it is, also where a call was interrupted
LOGS=(infer.log acc.log build.log)
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
mkdir -p -- "$output" || fail "OUTPUT_PATH $output cannot be made"
python="$(find_python)"

# Run a command with its output in a log; where it fails, show the end of the log and leave with its status.
# $1: log. $2: what it is, for the message. The rest: the command.
run_logged() {
  local log="$1" what="$2" status=0
  shift 2
  "$@" >"$log" 2>&1 || status=$?
  if [ "$status" -ne 0 ]; then
    printf '%s: %s failed with status %s; the end of %s:\n' "$(basename "$0")" "$what" "$status" "$log" >&2
    tail -n "$LOG_LINES" -- "$log" >&2
    exit "$status"
  fi
}

# Remove the results of an earlier call, so that nothing of them is taken for this one's. Anybody else's folder or logs are refused.
clear_results() {
  local results="$output/result_Files" stranger="" log
  if [ -e "$results/$MARK" ] || [ -e "$results/result.json" ]; then
    stranger="$(find "$results" -mindepth 1 ! \( -type f \( -name '*.bin' -o -name '*.png' -o -name '*.json' -o -name '*.tmp' -o -name '.*' \) \) -print -quit)"
  else
    for log in "${LOGS[@]}"; do
      [ ! -e "$output/$log" ] || stranger="$output/$log"
    done
    [ -n "$stranger" ] || [ ! -d "$results" ] || stranger="$(find "$results" -mindepth 1 -print -quit)"
  fi
  [ -z "$stranger" ] || fail "$stranger is not from an earlier call; move it away, or choose another folder by OUTPUT_PATH"
  mkdir -p -- "$results" || fail "$results cannot be made"
  touch -- "$results/$MARK" || fail "$results cannot be written to"
  find "$results" -mindepth 1 ! -name "$MARK" -delete
  rm -f -- "${LOGS[@]/#/$output/}"
}

clear_results
if [ -z "${MS_LITE_HOME:-}" ]; then
  [ "$device_type" = CPU ] || fail "DEVICE_TYPE $device_type needs a MindSpore Lite for it: set MS_LITE_HOME to the unpacked release"
  MS_LITE_HOME="$(bash "$ROOT/scripts/fetch_mindspore_lite.sh")"
fi
export MS_LITE_HOME
lacking="$(missing_for_cpp)"
if [ -n "$lacking" ] && [ ! -x "$MAIN" ]; then
  fail "building the C++ program needs $lacking (on Debian: apt-get install cmake g++ make libpng-dev libjpeg-dev)"
elif [ -z "$lacking" ]; then
  say "building $MAIN"
  run_logged "$output/build.log" "building the C++ program" bash "$ROOT/ascend310_infer/src/build.sh"
fi

version="$("$MAIN" --version)"
kind="$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["model"]["kind"])' "${mindir%.*}.json" 2>/dev/null)" \
  || fail "${mindir%.*}.json: no manifest of export.py; export the model anew"
if [ "$kind" = native ] && [[ "$version" == *"MindSpore Lite 2.0."* ]]; then
  lowered="$output/lowered/$(basename "$mindir")"
  mkdir -p -- "$output/lowered"
  say "lowering $mindir for MindSpore Lite 2.0"
  PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" "$python" -m src.deploy.lower "$mindir" "$lowered"
  mindir="$lowered"
fi

say "preprocessing $data_path"
"$python" "$ROOT/preprocess.py" --data_path "$data_path" --train_path "$output/preprocess_Result" --manifest "${mindir%.*}.json"

command=("$MAIN" --mindir_path "$mindir" --dataset_path "$output/preprocess_Result" --device_type "$device_type" --device_id "$device_id"
  --result_path "$output/result_Files")
[ -z "${THREADS:-}" ] || command+=(--threads "$THREADS")
say "inferring: ${command[*]}"
run_logged "$output/infer.log" "inference" "${command[@]}"
cat -- "$output/infer.log"

say "scoring"
run_logged "$output/acc.log" "postprocess.py" "$python" "$ROOT/postprocess.py" --result_path "$output/result_Files" \
  --label_path "$output/preprocess_Result"
cat -- "$output/acc.log"
