#!/usr/bin/env bash
# Summary: train on several Ascend devices, of one host or many.
#
# Usage: bash scripts/run_distribute_train.sh RANK_TABLE_FILE DATASET_PATH TRAIN_OUTPUT_PATH CHECKPOINT_PATH
#          [BEGIN_EPOCH] [EVAL_CALLBACK] [-- OPTION ...]
#   RANK_TABLE_FILE    HCCL rank table (scripts/make_rank_table.sh writes one): each of its devices on this host gets a process;
#                      or none: msrun starts WORKER_NUM processes (below)
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
#   WORKER_NUM   with RANK_TABLE_FILE none: processes on all hosts together
#   LOCAL_WORKER_NUM, NODE_RANK, MASTER_ADDR, MASTER_PORT  for several hosts: processes on this one, its number from 0, address of host 0
#                and a free port on it; start the same on every host, TRAIN_OUTPUT_PATH on a disk that they share
#   SERVER_ID    which server of the rank table this host is, where its addresses do not tell
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

read_arguments "RANK_TABLE_FILE DATASET_PATH TRAIN_OUTPUT_PATH CHECKPOINT_PATH [BEGIN_EPOCH] [EVAL_CALLBACK]" "$@"
check_all
if is_none "${given[RANK_TABLE_FILE]}"; then
  [ -n "${WORKER_NUM:-}" ] || fail "RANK_TABLE_FILE none: set WORKER_NUM, the number of processes (see --help)"
  check_number LOCAL_WORKER_NUM "${LOCAL_WORKER_NUM:-$WORKER_NUM}" 1
  use_msrun "${LOCAL_WORKER_NUM:-$WORKER_NUM}"
else
  table="${given[RANK_TABLE_FILE]}"
  [ -f "$table" ] || fail "RANK_TABLE_FILE $table: no such file; scripts/make_rank_table.sh writes one"
  how=(--rank_table "$(absolute "$table")")
fi
device=(--device_target Ascend --run_distribute True)
train
