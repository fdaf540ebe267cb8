#!/usr/bin/env bash
# Summary: evaluate weights on one NVIDIA GPU.
#
# Usage: bash scripts/run_eval_gpu.sh DEVICE_ID DATASET_PATH CHECKPOINT_PATH [-- OPTION ...]
#   DEVICE_ID        number of the device, from 0; of those in CUDA_VISIBLE_DEVICES where that is set
#   DATASET_PATH     folder of the data set
#   CHECKPOINT_PATH  the weights to evaluate (.ckpt)
#   OPTION           more options of eval.py, as in -- eval.multi_scale=True eval.flip=True
#
# It stays in the foreground and ends with the status of eval.py. The log is OUTPUT_PATH/logs/eval/rank_0.log.
#
# Environment:
#   OUTPUT_PATH  folder for the results (default: that of CHECKPOINT_PATH)
#   CONFIG       preset or YAML file (default: the configuration beside the weights)
#   DETACH       1: run in the background; prints the process id and the log, console.log beside rank_0.log: what the foreground shows
#   OCRNET_VENV  virtual environment whose Python is used where there is one (default: .venv), else python3
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/lib/common.sh"
# shellcheck source=scripts/lib/launch.sh
source "$ROOT/scripts/lib/launch.sh"

read_arguments "DEVICE_ID DATASET_PATH CHECKPOINT_PATH" "$@"
check_number DEVICE_ID "${given[DEVICE_ID]}" 0
check_all
use_gpus $((10#${given[DEVICE_ID]} + 1)) "DEVICE_ID ${given[DEVICE_ID]}"
how=(--single)
device=(--device_target GPU --device_id "${given[DEVICE_ID]}")
evaluate
