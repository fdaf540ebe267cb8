#!/usr/bin/env bash
# Summary: train on several NVIDIA GPUs, of one host or many.
#
# Usage: bash scripts/run_distribute_train_gpu.sh DEVICE_NUM DATASET_PATH TRAIN_OUTPUT_PATH CHECKPOINT_PATH
#          [BEGIN_EPOCH] [EVAL_CALLBACK] [-- OPTION ...]
#   DEVICE_NUM         number of devices on this host, one process for each
#   DATASET_PATH       folder of the data set
#   TRAIN_OUTPUT_PATH  folder for what the run leaves: weights, logs, configuration
#   CHECKPOINT_PATH    weights to start from (.ckpt), or none
#   BEGIN_EPOCH        epoch from which the schedule goes on with those weights (default: 0)
#   EVAL_CALLBACK      True: evaluate during training, False: do not (default: what the configuration says); needs no BEGIN_EPOCH
#   OPTION             more options of train.py, as in: -- --lr 0.01 train.wd=0.0005
#
# It stays in the foreground and ends with the status of training: 0 done, 1 failed, 2 something in the call must change, 130 or 143 stopped
# and saved (Ctrl-C, SIGTERM). Each process writes TRAIN_OUTPUT_PATH/logs/train/rank_N.log. The weights and records there stay as they are.
#
# Environment:
#   LAUNCHER     msrun (default), or mpirun for one host alone, whose further options MPIRUN_OPTIONS holds
#   WORKER_NUM, NODE_RANK, MASTER_ADDR, MASTER_PORT  for several hosts (msrun): processes in all, number of this host from 0, address
#                of host 0 and a free port on it; start the same on every host, TRAIN_OUTPUT_PATH on a disk that they share
#   CONFIG       preset or YAML file of the recipe (default: train.py's)
#   RESUME       1: go on with the run in TRAIN_OUTPUT_PATH, with its own configuration, where there is one; else start it
#   DETACH       1: run in the background; prints the process id and the log, console.log beside rank_0.log: what the foreground shows
#   STOP_TIMEOUT seconds that stopping waits for training to save (default: 120)
#   OCRNET_VENV  virtual environment whose Python is used where there is one (default: .venv), else python3
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/lib/common.sh"
# shellcheck source=scripts/lib/launch.sh
source "$ROOT/scripts/lib/launch.sh"

read_arguments "DEVICE_NUM DATASET_PATH TRAIN_OUTPUT_PATH CHECKPOINT_PATH [BEGIN_EPOCH] [EVAL_CALLBACK]" "$@"
num="${given[DEVICE_NUM]}"
check_number DEVICE_NUM "$num" 1
check_all
use_gpus "$num" "DEVICE_NUM $num"
case "${LAUNCHER:-msrun}" in
  msrun) use_msrun "$num" ;;
  mpirun) use_mpirun "$num" ;;
  *) fail "LAUNCHER '$LAUNCHER': expected msrun or mpirun" ;;
esac
device=(--device_target GPU --run_distribute True)
train
