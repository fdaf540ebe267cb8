#!/usr/bin/env bash
# Summary: run an exported model in C++ on the validation pictures and print its mIoU.
#
# Usage: bash scripts/run_cpp_infer.sh MODEL_PATH DATA_PATH [DEVICE_TYPE] [DEVICE_ID]
#   MODEL_PATH   model that export.py wrote, with its manifest (.json) beside it: F.mindir, or F_lite2.mindir for MindSpore Lite 2.0;
#                F.onnx, or OpenVINO's F.xml. A native F.mindir is lowered first where MindSpore Lite 2.0 is to run it, and converted to
#                ONNX where OpenVINO is
#   DATA_PATH    folder of the data set that the model was trained for
#   DEVICE_TYPE  CPU, GPU or Ascend (default: Ascend; of OpenVINO, which has CPU and GPU, CPU)
#   DEVICE_ID    number of the device (default: 0)
#
# Leaves in the current folder: preprocess_Result/ (inputs, labels), result_Files/ (predicted labels), infer.log (times, memory, library),
# acc.log (mIoU), build.log, and lowered/ or converted/ where that was done. What an earlier call left there is replaced; logs of these names
# that are somebody else's are refused. It stops at the first step that fails, with its status; an interrupt or SIGTERM stops the step too.
#
# Environment:
#   OUTPUT_PATH   folder for the results (default: the current one)
#   BACKEND       lite (MindSpore Lite) or openvino (default: lite for MindIR, openvino for the others)
#   PRECISION     fp32, bf16 (openvino, where the processor has it) or int8 (a quantised model) (default: int8 for a quantised model,
#                 fp32 for others)
#   MODE          latency or throughput, which openvino alone has: several inferences at once (default: latency)
#   STREAMS       how many, for throughput (default: the library's choice)
#   BATCH         pictures at once, of a model exported with --dynamic batch; of others it must be the model's (default: the model's)
#   THREADS       CPU threads of the inference (default: the library's choice, for lite all cores)
#   MS_LITE_HOME  MindSpore Lite: a release tarball unpacked, or an unpacked wheel; without it, scripts/fetch_mindspore_lite.sh gets
#                 version 2.0.0 for DEVICE_TYPE CPU on x86-64, if the back end is lite
#   OPENVINO_HOME OpenVINO: an archive unpacked, or the folder openvino of a wheel; without it, scripts/fetch_openvino.sh gets one for
#                 x86-64, if the back end is openvino
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
[ $# -ge 2 ] && [ $# -le 4 ] || fail "expected MODEL_PATH DATA_PATH [DEVICE_TYPE] [DEVICE_ID], got $# arguments (see --help)"
model="$(realpath -m -- "$1")"
data_path="$(realpath -m -- "$2")"
case "${3:-}" in
  "") device_type="" ;;
  [Cc][Pp][Uu]) device_type=CPU ;;
  [Gg][Pp][Uu]) device_type=GPU ;;
  [Aa][Ss][Cc][Ee][Nn][Dd]) device_type=Ascend ;;
  *) fail "DEVICE_TYPE '$3': expected CPU, GPU or Ascend" ;;
esac
device_id="${4:-0}"
[[ "$device_id" =~ ^[0-9]+$ ]] || fail "DEVICE_ID '$device_id': expected a number from 0"
[[ "${BACKEND:-lite}" =~ ^(lite|openvino)$ ]] || fail "BACKEND '$BACKEND': expected lite or openvino"
[[ "${PRECISION:-fp32}" =~ ^(fp32|bf16|int8)$ ]] || fail "PRECISION '$PRECISION': expected fp32, bf16 or int8"
[[ "${MODE:-latency}" =~ ^(latency|throughput)$ ]] || fail "MODE '$MODE': expected latency or throughput"
for name in STREAMS BATCH THREADS; do
  [ -z "${!name:-}" ] || [[ "${!name}" =~ ^[1-9][0-9]*$ ]] || fail "$name '${!name}': expected a number from 1"
done
[ -f "$model" ] || fail "MODEL_PATH $1: no such file; export.py writes it"
[ -f "${model%.*}.json" ] || fail "MODEL_PATH $1: no manifest $(basename "${model%.*}").json beside it; export.py writes both"
[ -d "$data_path" ] || fail "DATA_PATH $2: no such folder"
output="$(realpath -m -- "${OUTPUT_PATH:-$PWD}")"
python="$(find_python)"
require_packages "$python" mindspore omegaconf cv2 imagecodecs
read -r kind quantised batch sha256 < <("$python" -c 'import json, sys
manifest = json.load(open(sys.argv[1]))
model, taken = manifest["model"], manifest["input"]
print(model["kind"], model.get("precision", "fp32"), "any" if "batch" in taken.get("dynamic", []) else taken["shape"][0], model["sha256"])' \
  "${model%.*}.json" 2>/dev/null) || fail "${model%.*}.json: no manifest of export.py; export the model anew"
[ "$(sha256sum -- "$model" | cut -d' ' -f1)" = "$sha256" ] \
  || fail "MODEL_PATH $1: not the file that $(basename "${model%.*}").json describes (SHA-256 differs); copy or export it anew"

# Settle the back end by the model's kind, and refuse what does not fit together before anything is written.
case "$kind" in
  native | lite2) backend="${BACKEND:-lite}" ;;
  onnx | openvino) backend="${BACKEND:-openvino}" ;;
  *) fail "MODEL_PATH $1: a model of kind $kind, which the C++ program does not run; export it with --file_format MINDIR or ONNX" ;;
esac
if [ "$backend" = lite ]; then
  device_type="${device_type:-Ascend}"
  [ "$kind" = native ] || [ "$kind" = lite2 ] \
    || fail "BACKEND lite: $1 is of kind $kind, and MindSpore Lite takes MindIR here; leave BACKEND out, or export it with --file_format MINDIR"
  [ "${PRECISION:-fp32}" = fp32 ] || fail "PRECISION $PRECISION: MindSpore Lite computes in fp32 here; take fp32, or BACKEND=openvino"
  [ "${MODE:-latency}" = latency ] || fail "MODE throughput: MindSpore Lite runs one inference at a time; leave it out, or take BACKEND=openvino"
  [ -n "${MS_LITE_HOME:-}" ] || [ "$device_type" = CPU ] \
    || fail "DEVICE_TYPE $device_type needs a MindSpore Lite for it: set MS_LITE_HOME to the unpacked release, or give DEVICE_TYPE CPU"
else
  device_type="${device_type:-CPU}"
  [ "$device_type" != Ascend ] || fail "DEVICE_TYPE Ascend: OpenVINO knows CPU and GPU alone; give one of them, or BACKEND=lite with a MindIR"
  [ "$kind" != lite2 ] || fail "BACKEND openvino: $1 is lowered for MindSpore Lite; give the native file that it was made from"
  [ "$kind" != native ] || has_packages "$python" onnx onnxruntime \
    || fail "BACKEND openvino converts $1 to ONNX first, for which $python lacks packages: pip install -r requirements-deploy.txt"
  [ "${PRECISION:-$quantised}" = int8 ] || [ "$quantised" != int8 ] \
    || fail "PRECISION $PRECISION: $1 is quantised to int8; take int8, or the model that it was made from"
  [ "${PRECISION:-}" != int8 ] || [ "$quantised" = int8 ] \
    || fail "PRECISION int8: $1 is not quantised; quantise it: python -m src.deploy.quantize MODEL --data_path DATA"
fi
[ -z "${BATCH:-}" ] || [ "$batch" = any ] || [ "$BATCH" = "$batch" ] \
  || fail "BATCH $BATCH: $1 was exported with --batch $batch; leave it out, or export ONNX with --dynamic batch"
[ "${MODE:-latency}" = throughput ] || [ "${STREAMS:-1}" = 1 ] \
  || fail "STREAMS $STREAMS: with MODE latency one inference runs at a time; set MODE=throughput"
lacking="$(missing_for_cpp)"
[ -z "$lacking" ] || [ -x "$MAIN" ] \
  || fail "building the C++ program needs $lacking (on Debian: apt-get install cmake g++ make libpng-dev libjpeg-dev)"

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

# Make another file of the model with a command of src.deploy, and go on with that. $1: command. $2: folder. $3: ending. $4: what is said.
transform() {
  local made
  made="$output/$2/$(basename "${model%.*}").$3"
  mkdir -p -- "$output/$2" || fail "$output/$2 cannot be made; choose another folder by OUTPUT_PATH"
  say "$4"
  PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" run_step "$python" -m "src.deploy.$1" "$model" "$made"
  model="$made"
}

open_output
if [ "$backend" = lite ]; then
  [ -n "${MS_LITE_HOME:-}" ] || MS_LITE_HOME="$(bash "$ROOT/scripts/fetch_mindspore_lite.sh")"
  export MS_LITE_HOME
else
  [ -n "${OPENVINO_HOME:-}" ] || OPENVINO_HOME="$(bash "$ROOT/scripts/fetch_openvino.sh")"
  export OPENVINO_HOME
fi
if [ -z "$lacking" ]; then
  say "building $MAIN"
  run_logged "$output/build.log" "building the C++ program" bash "$ROOT/ascend310_infer/src/build.sh"
fi

if [ "${PRECISION:-}" = bf16 ] && [ "$device_type" = CPU ]; then
  [[ "$("$MAIN" --version --backend openvino)" != *"no bf16"* ]] \
    || fail "PRECISION bf16: this processor has neither AMX nor AVX-512, and OpenVINO does not compute in bf16 on it; take fp32, or int8"
fi

if [ "$kind" = native ] && [ "$backend" = openvino ]; then
  transform to_onnx converted onnx "converting $model for OpenVINO"
elif [ "$kind" = native ] && [[ "$("$MAIN" --version --backend lite)" == *"MindSpore Lite 2.0."* ]]; then
  transform lower lowered mindir "lowering $model for MindSpore Lite 2.0"
fi

say "preprocessing $data_path"
run_step "$python" "$ROOT/preprocess.py" --data_path "$data_path" --train_path "$output/preprocess_Result" --manifest "${model%.*}.json"

command=("$MAIN" --mindir_path "$model" --dataset_path "$output/preprocess_Result" --device_type "$device_type" --device_id "$device_id"
  --result_path "$output/result_Files")
for name in BACKEND PRECISION MODE STREAMS BATCH THREADS; do
  [ -z "${!name:-}" ] || command+=("--${name,,}" "${!name}")
done
say "inferring:$(printf ' %q' "${command[@]}")"
run_logged "$output/infer.log" "inference" "${command[@]}"
cat -- "$output/infer.log"

say "scoring"
run_logged "$output/acc.log" "postprocess.py" "$python" "$ROOT/postprocess.py" --result_path "$output/result_Files" \
  --label_path "$output/preprocess_Result"
cat -- "$output/acc.log"
