#!/usr/bin/env bats
# The scripts with the real launcher and real ranks; what a rank runs is a stub, and so are msrun and mpirun.
bats_require_minimum_version 1.5.0

setup() {
  load launch_stubs
  make_place
  export LAUNCH=real
}

# The variables of a rank's environment, as NAME=VALUE. $1: the rank. The rest: the names.
environment_of() { for name in "${@:2}"; do grep "^$name=" "$RECORDS/rank_$1.env" || echo "$name is not set"; done; }

# Rank $1 was started with these flags of train.py.
assert_rank() { assert_record "rank_$1" "$PROJECT/train.py" "${@:2}"; }

# A rank table of two servers with the devices 0, 1 and 4, 6.
write_rank_table() {
  cat >"a table.json" <<'JSON'
{"version": "1.0", "server_count": "2", "status": "completed", "server_list": [
 {"server_id": "10.0.0.1", "device": [{"device_id": "0", "device_ip": "1.1.1.1", "rank_id": "0"},
                                      {"device_id": "1", "device_ip": "1.1.1.2", "rank_id": "1"}]},
 {"server_id": "10.0.0.2", "device": [{"device_id": "4", "device_ip": "1.1.2.1", "rank_id": "2"},
                                      {"device_id": "6", "device_ip": "1.1.2.2", "rank_id": "3"}]}]}
JSON
}

@test "one process: its output is shown, and kept; what the output folder holds stays, earlier logs too" {
  mkdir -p out/checkpoints out/logs/train src
  echo weights >out/checkpoints/epoch_0001.ckpt
  echo notes >out/notes
  echo "an earlier run" >out/logs/train/rank_0.log
  echo "raise SystemExit('not the project')" >src/__init__.py # a folder of this name at the caller's is nobody's business
  run -0 call run_standalone_train_cpu.sh "a data set" out none
  [[ "$output" == *"rank 0 trains" ]]
  assert_rank 0 --device_target CPU --data_path "$PLACE/a data set" --output_path "$PLACE/out"
  [ "$(cat out/logs/train/rank_0.log)" = "rank 0 trains" ]
  [ "$(cat out/checkpoints/epoch_0001.ckpt out/notes)" = $'weights\nnotes' ]
  grep -rqx "an earlier run" out/logs/train
}

@test "train.py's status is the script's" {
  FAILING_RANK=0 FAILING_STATUS=2 run -2 call run_standalone_train_cpu.sh "a data set" out none
  [[ "$output" == *"the last words of rank 0"*"rank 0 failed with status 2"* ]]
}

@test "a rank table of two servers: this one's ranks, with its devices" {
  local rank
  write_rank_table
  SERVER_ID=10.0.0.2 run -0 call run_distribute_train.sh "a table.json" "a data set" out none 5 True -- --seed 3
  [ "$(environment_of 2 RANK_ID DEVICE_ID RANK_SIZE RANK_TABLE_FILE)" = \
    "$(printf '%s\n' RANK_ID=2 DEVICE_ID=4 RANK_SIZE=4 "RANK_TABLE_FILE=$PLACE/a table.json")" ]
  [ "$(environment_of 3 RANK_ID DEVICE_ID RANK_SIZE)" = "$(printf '%s\n' RANK_ID=3 DEVICE_ID=6 RANK_SIZE=4)" ]
  for rank in 2 3; do
    assert_rank "$rank" --device_target Ascend --run_distribute True --data_path "$PLACE/a data set" --output_path "$PLACE/out" \
      --begin_epoch 5 --eval_callback True --seed 3
  done
  [ ! -e "$RECORDS/rank_0" ]
  run -2 call run_distribute_train.sh "a table.json" "a data set" out none # neither server is this host
  [[ "$output" == *"SERVER_ID"* ]]
}

@test "msrun: its own group on one host, a part of a larger one on several" {
  local start=(--device_target CPU --run_distribute True --data_path "$PLACE/a data set" --output_path "$PLACE/out")
  run -0 call run_distribute_train_cpu.sh 2 "a data set" out none
  assert_rank 0 "${start[@]}"
  assert_rank 1 "${start[@]}"
  [ "$(environment_of 1 MS_WORKER_NUM MS_NODE_ID DEVICE_ID)" = "$(printf '%s\n' MS_WORKER_NUM=2 MS_NODE_ID=1 DEVICE_ID=1)" ]
  grep -qx -- "--worker_num=2" "$RECORDS/msrun"
  rm "$RECORDS"/*
  export WORKER_NUM=4 LOCAL_WORKER_NUM=2 NODE_RANK=1 MASTER_ADDR=10.0.0.1 MASTER_PORT=8118
  run -0 call run_distribute_train.sh none "a data set" out none
  [ "$(environment_of 3 MS_WORKER_NUM MS_NODE_ID DEVICE_ID)" = "$(printf '%s\n' MS_WORKER_NUM=4 MS_NODE_ID=3 DEVICE_ID=1)" ]
  for option in worker_num=4 local_worker_num=2 master_addr=10.0.0.1 master_port=8118 node_rank=1; do
    grep -qx -- "--$option" "$RECORDS/msrun"
  done
  [ ! -e "$RECORDS/rank_0" ]
}

@test "mpirun with further options" {
  mkdir plugin && touch plugin/libmindspore_gpu.so.11.6
  LAUNCHER=mpirun MPIRUN_OPTIONS="--bind-to-none" run -0 call run_distribute_train_gpu.sh 2 "a data set" out none
  grep -qx -- "--bind-to-none" "$RECORDS/mpirun"
  [ "$(environment_of 1 OMPI_COMM_WORLD_RANK CUDA_HOME)" = $'OMPI_COMM_WORLD_RANK=1\n'"CUDA_HOME=$PROJECT/scripts/lib/cuda11" ]
  [ "$(cat out/logs/train/rank_1.log)" = "rank 1 trains" ]
}

@test "a rank that fails: the others are stopped, its last words are shown, its status is the script's" {
  write_rank_table
  SERVER_ID=10.0.0.1 FAILING_RANK=1 run -3 --separate-stderr call run_distribute_train.sh "a table.json" "a data set" out none
  # shellcheck disable=SC2154  # bats sets stderr
  [[ "$stderr" == *"the last words of rank 1"*"rank 1 failed with status 3"*"$PLACE/out/logs/train/rank_1.log"* ]]
  [ -z "$(running)" ]
}

@test "in the background: a second launch is refused meanwhile, and SIGTERM ends the rank too" {
  FAILING_RANK=none DETACH=1 run -0 call run_standalone_train_cpu.sh "a data set" out none
  local pid="${lines[-1]#*pid }"
  pid="${pid%%,*}"
  until [ -s "$RECORDS/rank_0" ]; do sleep 0.1; done
  DETACH=1 run -2 call run_standalone_train_cpu.sh "a data set" out none
  [[ "$output" == *"another launch works in"* ]]
  kill "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  [ -z "$(running)" ]
}
