#!/usr/bin/env bats
# The command line that each launching script makes of its arguments; the launcher is a stub here, and real in launch_real.bats.
bats_require_minimum_version 1.5.0

setup() {
  load launch_stubs
  make_place
}

@test "every script prints its usage with --help and starts nothing" {
  local script
  for script in "$PROJECT"/scripts/run_{standalone_train,distribute_train,eval}{,_gpu,_cpu}.sh "$PROJECT/scripts/make_rank_table.sh"; do
    run -0 bash "$script" --help
    [[ "$output" == "Summary: "*"Usage: bash scripts/$(basename "$script") "*"Environment:"* ]]
    run -0 bash "$script" -h
  done
  [ -z "$(ls "$RECORDS")" ]
}

@test "every script finds the project through a link and a relative path, with CDPATH set" {
  local script
  export CDPATH=.:/
  cd "$PROJECT"
  for script in scripts/*.sh ascend310_infer/src/build.sh; do
    ln -sf "$PROJECT/$script" "$PLACE/link.sh"
    run -0 bash "$PLACE/link.sh" --help
    [[ "$output" == "Summary: "* ]]
  done
  bash scripts/run_standalone_train_cpu.sh "$PLACE/a data set" "$PLACE/out" none
  assert_training "$PLACE/out/logs/train" --single -- --device_target CPU --data_path "$PLACE/a data set" --output_path "$PLACE/out"
  ln -s "$PROJECT/.ci/run" "$PLACE/run"
  for script in .ci/run "$PLACE/run"; do
    printf '#!/bin/sh\npwd\necho "$@"\n' >"$PLACE/bash"
    chmod +x "$PLACE/bash"
    PATH="$PLACE:$PATH" run -0 "$BASH" "$script"
    [ "$output" = "$PROJECT"$'\nscripts/run_tests.sh' ]
  done
}

@test "four arguments, relative and with spaces: absolute for train.py, and echoed so that they can be pasted" {
  run -0 call run_standalone_train.sh 3 "a data set" "new out" "weights/net 1.ckpt"
  [[ "$output" == *"$(printf '%q' "$PLACE/a data set")"* ]]
  assert_training "$PLACE/new out/logs/train" --single -- --device_target Ascend --device_id 3 --data_path "$PLACE/a data set" \
    --output_path "$PLACE/new out" --checkpoint_path "$PLACE/weights/net 1.ckpt"
  grep -qx "PYTHONPATH=$PROJECT" "$RECORDS/launch.env"
  [ ! -e "$PLACE/new out" ]
}

@test "five and six arguments: an epoch and True or False are told apart by what they are" {
  local start=(--device_target CPU --data_path "$PLACE/a data set" --output_path "$PLACE/out")
  call run_standalone_train_cpu.sh "a data set" out none 7
  assert_training "$PLACE/out/logs/train" --single -- "${start[@]}" --begin_epoch 7
  call run_standalone_train_cpu.sh "a data set" out NONE tRUE
  assert_training "$PLACE/out/logs/train" --single -- "${start[@]}" --eval_callback True
  call run_standalone_train_cpu.sh "a data set" out None 0 false
  assert_training "$PLACE/out/logs/train" --single -- "${start[@]}" --begin_epoch 0 --eval_callback False
  call run_standalone_train_cpu.sh "a data set" out none "" True
  assert_training "$PLACE/out/logs/train" --single -- "${start[@]}" --eval_callback True
}

@test "what follows -- goes to train.py unchanged, and CONFIG names the recipe" {
  CONFIG=demo call run_standalone_train_cpu.sh "a data set" out none 2 -- --lr 0.1 "train.image_size=[64, 128]" -- '*'
  assert_training "$PLACE/out/logs/train" --single -- --device_target CPU --data_path "$PLACE/a data set" --output_path "$PLACE/out" \
    --config demo --begin_epoch 2 --lr 0.1 "train.image_size=[64, 128]" -- '*'
}

@test "RESUME=1 leaves it to train.py whether there is a run to continue" {
  local start=(--device_target CPU --data_path "$PLACE/a data set" --output_path "$PLACE/out" --config demo)
  export CONFIG=demo
  RESUME=1 call run_standalone_train_cpu.sh "a data set" out "weights/net 1.ckpt" 4 True -- --workers 1
  assert_training "$PLACE/out/logs/train" --single -- "${start[@]}" --checkpoint_path "$PLACE/weights/net 1.ckpt" --begin_epoch 4 \
    --resume auto --eval_callback True --workers 1
  RESUME=0 call run_standalone_train_cpu.sh "a data set" out none
  assert_training "$PLACE/out/logs/train" --single -- "${start[@]}"
}

@test "the launcher's output and status are the script's" {
  LAUNCH_STATUS=143 run -143 call run_standalone_train_cpu.sh "a data set" out none
  [[ "$output" == *"the launcher says hello" ]]
}

@test "DETACH=1 returns at once with the process id and the log, to which it adds" {
  mkdir -p out/logs/train && echo "an earlier run" >out/logs/train/console.log
  DETACH=1 LAUNCH_SECONDS=60 run -0 call run_standalone_train_cpu.sh "a data set" out none
  local said="${lines[-1]}" pid
  pid="${said#*pid }"
  pid="${pid%%,*}"
  [[ "$said" == *"log $PLACE/out/logs/train/console.log"* ]]
  [ "$(cut -d' ' -f6 "/proc/$pid/stat")" = "$pid" ] # a session of its own: it outlives this one
  kill "$pid"
  [ "$(cat out/logs/train/console.log)" = $'an earlier run\nthe launcher says hello' ]
}

@test "DETACH=1 does not hide that the launcher refused, late, where an earlier launch failed; nor that all is done" {
  mkdir -p out/logs/train && echo "pid 1" >out/logs/train/rank_0.pid
  DETACH=1 LAUNCH_STATUS=2 LAUNCH_DELAY=1.3 run -2 call run_standalone_train_cpu.sh "a data set" out none
  [[ "$output" == *"the launcher says hello" ]]
  DETACH=1 run -0 call run_standalone_train_cpu.sh "a data set" out none
  [[ "$output" == *"==> done already, log $PLACE/out/logs/train/console.log" ]]
}

@test "a rank table, and msrun on one host or several where there is none" {
  local start=(--device_target Ascend --run_distribute True --data_path "$PLACE/a data set" --output_path "$PLACE/out")
  touch "a table.json"
  call run_distribute_train.sh "a table.json" "a data set" out none
  assert_training "$PLACE/out/logs/train" --rank_table "$PLACE/a table.json" -- "${start[@]}"
  WORKER_NUM=6 call run_distribute_train.sh none "a data set" out none False
  assert_training "$PLACE/out/logs/train" --msrun 6 -- "${start[@]}" --eval_callback False
  WORKER_NUM=16 LOCAL_WORKER_NUM=8 NODE_RANK=1 MASTER_ADDR=10.0.0.1 MASTER_PORT=8118 call run_distribute_train.sh None "a data set" out none
  assert_training "$PLACE/out/logs/train" --msrun 8 --worker_num 16 --node_rank 1 --master_addr 10.0.0.1 --master_port 8118 -- "${start[@]}"
}

@test "several GPUs: msrun, or mpirun" {
  local start=(--device_target GPU --run_distribute True --data_path "$PLACE/a data set" --output_path "$PLACE/out")
  mkdir plugin && touch plugin/libmindspore_gpu.so.11.6
  CUDA_VISIBLE_DEVICES=4,5,7 call run_distribute_train_gpu.sh 3 "a data set" out none 1
  assert_training "$PLACE/out/logs/train" --msrun 3 -- "${start[@]}" --begin_epoch 1
  grep -qx "CUDA_VISIBLE_DEVICES=4,5,7" "$RECORDS/launch.env"
  LAUNCHER=mpirun call run_distribute_train_gpu.sh 2 "a data set" out none
  assert_training "$PLACE/out/logs/train" --mpirun 2 -- "${start[@]}"
  WORKER_NUM=4 NODE_RANK=0 MASTER_ADDR=h MASTER_PORT=1 call run_distribute_train_gpu.sh 2 "a data set" out none
  assert_training "$PLACE/out/logs/train" --msrun 2 --worker_num 4 --node_rank 0 --master_addr h --master_port 1 -- "${start[@]}"
}

@test "one GPU, and processes on the CPU" {
  mkdir plugin && touch plugin/libmindspore_gpu.so.11.6
  call run_standalone_train_gpu.sh 1 "a data set" out none 3
  assert_training "$PLACE/out/logs/train" --single -- --device_target GPU --device_id 1 --data_path "$PLACE/a data set" \
    --output_path "$PLACE/out" --begin_epoch 3
  call run_distribute_train_cpu.sh 2 "a data set" out none 3 True
  assert_training "$PLACE/out/logs/train" --msrun 2 -- --device_target CPU --run_distribute True --data_path "$PLACE/a data set" \
    --output_path "$PLACE/out" --begin_epoch 3 --eval_callback True
}

@test "evaluation: results beside the weights, or in OUTPUT_PATH" {
  local device paths=(--data_path "$PLACE/a data set" --checkpoint_path "$PLACE/weights/net 1.ckpt")
  mkdir plugin && touch plugin/libmindspore_gpu.so.11.6
  for device in Ascend GPU CPU; do
    local script=run_eval_${device,,}.sh arguments=(2) flags=(--device_id 2)
    [ "$device" != Ascend ] || script=run_eval.sh
    [ "$device" != CPU ] || { arguments=(); flags=(); }
    call "$script" "${arguments[@]}" "a data set" "weights/net 1.ckpt" -- eval.flip=True
    assert_record launch -m src.launch --log_dir "$PLACE/weights/logs/eval" --single -- \
      "$PLACE/venv/bin/python" "$PROJECT/eval.py" --device_target "$device" "${flags[@]}" "${paths[@]}" \
      --output_path "$PLACE/weights" eval.flip=True
  done
  CONFIG=c.yaml OUTPUT_PATH=results call run_eval_cpu.sh "a data set" "weights/net 1.ckpt"
  assert_record launch -m src.launch --log_dir "$PLACE/results/logs/eval" --single -- "$PLACE/venv/bin/python" "$PROJECT/eval.py" \
    --device_target CPU "${paths[@]}" --output_path "$PLACE/results" --config c.yaml
}

@test "wrong numbers and kinds of arguments" {
  assert_refused "expected DEVICE_ID DATASET_PATH" run_standalone_train.sh
  assert_refused "got 3 arguments" run_standalone_train.sh 0 "a data set" out
  assert_refused "got 7 arguments" run_standalone_train.sh 0 "a data set" out none 1 True more
  assert_refused "DEVICE_ID 'one': expected a number from 0" run_standalone_train.sh one "a data set" out none
  assert_refused "PROCESS_NUM '0': expected a number from 1" run_distribute_train_cpu.sh 0 "a data set" out none
  assert_refused "'-1' is no argument" run_distribute_train_gpu.sh -1 "a data set" out none
  assert_refused "'perhaps': expected BEGIN_EPOCH" run_standalone_train_cpu.sh "a data set" out none perhaps
  assert_refused "'1': expected" run_standalone_train_cpu.sh "a data set" out none 3 1
  assert_refused "'junk': expected" run_standalone_train_cpu.sh "a data set" out none "" junk
  assert_refused "'3' behind EVAL_CALLBACK" run_standalone_train_cpu.sh "a data set" out none True 3
  assert_refused "options of train.py or eval.py go behind --" run_standalone_train_cpu.sh "a data set" out none --lr 0.1
  assert_refused "CHECKPOINT_PATH is empty" run_standalone_train_cpu.sh "a data set" out ""
}

@test "paths, switches and environments that cannot work" {
  touch "a file"
  mkdir plugin && touch plugin/libmindspore_gpu.so.11.6
  assert_refused "DATASET_PATH nowhere: no such folder" run_standalone_train_cpu.sh nowhere out none
  assert_refused "CHECKPOINT_PATH nothing.ckpt: no such file" run_standalone_train_cpu.sh "a data set" out nothing.ckpt
  assert_refused "CHECKPOINT_PATH weights: no such file" run_eval_cpu.sh "a data set" weights
  assert_refused "CHECKPOINT_PATH none" run_eval_cpu.sh "a data set" none
  assert_refused "this is no folder" run_standalone_train_cpu.sh "a data set" "a file" none
  assert_refused "RANK_TABLE_FILE table.json: no such file" run_distribute_train.sh table.json "a data set" out none
  assert_refused "set WORKER_NUM" run_distribute_train.sh none "a data set" out none
  RESUME=yes assert_refused "RESUME 'yes': expected 1 or 0" run_standalone_train_cpu.sh "a data set" out none
  NO_PACKAGES=1 assert_refused "lacks packages" run_standalone_train_cpu.sh "a data set" out none
  LACKING=imagecodecs assert_refused "lacks packages" run_standalone_train_cpu.sh "a data set" out none
  WORKER_NUM=1 assert_refused "WORKER_NUM 1: fewer than the 2" run_distribute_train_cpu.sh 2 "a data set" out none
  WORKER_NUM=4 NODE_RANK=0 assert_refused "set MASTER_ADDR too" run_distribute_train_cpu.sh 2 "a data set" out none
  NODE_RANK=1 assert_refused "NODE_RANK 1: all 2 processes are on this host" run_distribute_train_cpu.sh 2 "a data set" out none
  local variable
  for variable in WORKER_NUM NODE_RANK MASTER_ADDR MASTER_PORT; do
    (
      export LAUNCHER=mpirun "$variable=16"
      assert_refused "$variable 16: LAUNCHER=mpirun is for one host alone" run_distribute_train_gpu.sh 2 "a data set" out none
    )
  done
  LAUNCHER=slurm assert_refused "LAUNCHER 'slurm'" run_distribute_train_gpu.sh 2 "a data set" out none
  CUDA_VISIBLE_DEVICES=0 assert_refused "DEVICE_NUM 2: CUDA_VISIBLE_DEVICES holds 1" run_distribute_train_gpu.sh 2 "a data set" out none
  CUDA_VISIBLE_DEVICES="" assert_refused "holds 0 devices" run_distribute_train_gpu.sh 1 "a data set" out none
  CUDA_VISIBLE_DEVICES=-1 assert_refused "holds 0 devices" run_distribute_train_gpu.sh 1 "a data set" out none
  CUDA_VISIBLE_DEVICES=GPU-1,-1,0 assert_refused "holds 1 devices" run_distribute_train_gpu.sh 2 "a data set" out none
  GPUS=2 assert_refused "DEVICE_ID 08: nvidia-smi finds 2 devices" run_standalone_train_gpu.sh 08 "a data set" out none
  GPUS=2 assert_refused "DEVICE_ID 08: nvidia-smi finds 2 devices" run_eval_gpu.sh 08 "a data set" "weights/net 1.ckpt"
  GPUS=2 assert_refused "DEVICE_ID 2: nvidia-smi finds 2 devices" run_standalone_train_gpu.sh 2 "a data set" out none
  GPUS=2 assert_refused "DEVICE_ID 3: nvidia-smi finds 2 devices" run_eval_gpu.sh 3 "a data set" "weights/net 1.ckpt"
  assert_refused "'--output_path' behind --" run_standalone_train_cpu.sh "a data set" out none -- --output_path elsewhere
  assert_refused "'data_path=x' behind --" run_eval_cpu.sh "a data set" "weights/net 1.ckpt" -- data_path=x
  WORKER_NUM=x assert_refused "WORKER_NUM 'x': expected a number" run_distribute_train.sh none "a data set" out none
}

@test "make_rank_table.sh" {
  call make_rank_table.sh 0-7
  assert_record rank_table -m src.launch.make_rank_table make --devices 0-7 --output rank_table.json
  DEVICE_IPS=1.1.1.1,1.1.1.2 call make_rank_table.sh "[0,2)" 10.0.0.1 "a table.json"
  assert_record rank_table -m src.launch.make_rank_table make --devices "[0,2)" --output "a table.json" --server_id 10.0.0.1 \
    --device_ips 1.1.1.1,1.1.1.2
  call make_rank_table.sh 0,3 none "a table.json"
  assert_record rank_table -m src.launch.make_rank_table make --devices 0,3 --output "a table.json"
  call make_rank_table.sh --merge "a 1.json" b.json c.json all.json
  assert_record rank_table -m src.launch.make_rank_table merge "a 1.json" b.json c.json --output all.json
  rm "$RECORDS"/*
  assert_refused "expected --merge" make_rank_table.sh --merge a.json b.json
  assert_refused "got 0 arguments" make_rank_table.sh
  assert_refused "unknown option '--all'" make_rank_table.sh --all
}
