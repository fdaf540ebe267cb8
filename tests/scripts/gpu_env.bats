#!/usr/bin/env bats
# gpu_env.sh: library path and CUDA_HOME, with a stub ldd that says which libraries are lacking.
bats_require_minimum_version 1.5.0

setup() {
  load launch_stubs
  make_place
  wheels="$PLACE/nvidia/cudnn/lib:$PLACE/nvidia/cublas/lib"
  mkdir plugin && touch plugin/libmindspore_gpu.so.11.{1,6} # as in MindSpore's wheels
}

# Source gpu_env.sh in a subshell and show what it set. Everything: how often.
source_it() {
  (
    for _ in "$@"; do
      # shellcheck source=scripts/lib/gpu_env.sh
      source "$PROJECT/scripts/lib/gpu_env.sh" || exit
    done
    printf '%s\n' "$CUDA_HOME" "$LD_LIBRARY_PATH"
  )
}

# A toolkit's folder. $1: the folder. $2: its version.
make_toolkit() {
  mkdir -p "$1/bin" "$1/lib64"
  printf '#!/bin/sh\necho "Cuda compilation tools, release %s, V%s.1"\n' "$2" "$2" >"$1/bin/nvcc"
  chmod +x "$1/bin/nvcc"
}

@test "the wheels and NCCL come in front of the library path, once, and a stand-in tells MindSpore the version" {
  # shellcheck disable=SC2031  # each test sets its own
  export LD_LIBRARY_PATH=/usr/mine
  run -0 source_it once
  [ "${lines[0]}" = "$PROJECT/scripts/lib/cuda11" ]
  [ "${lines[1]}" = "$wheels:$PLACE/plugin/gpu11.6:/usr/mine" ]
  local once="$output"
  run -0 source_it once twice
  [ "$output" = "$once" ]
  run -0 "${lines[0]}/bin/nvcc" --version
  [[ "$output" == *"Cuda compilation tools, release 11.6,"* ]]
  run -1 "$PROJECT/scripts/lib/cuda11/bin/nvcc" x.cu
}

@test "a CUDA 11 toolkit is used, in CUDA_HOME or by its nvcc on PATH" {
  make_toolkit "a toolkit" 11.8
  CUDA_HOME="$PLACE/a toolkit" run -0 source_it once
  [ "${lines[0]}" = "$PLACE/a toolkit" ]
  [ "${lines[1]}" = "$wheels:$PLACE/a toolkit/lib64:$PLACE/plugin/gpu11.6" ]
  PATH="$PLACE/a toolkit/bin:$PATH" run -0 source_it once
  [ "${lines[0]}" = "$PLACE/a toolkit" ]
}

@test "a toolkit for which MindSpore has no plug-in, or one whose libraries no wheel holds, is passed over" {
  local version
  for version in 12.4 11.5; do
    make_toolkit "a toolkit" "$version"
    CUDA_HOME="$PLACE/a toolkit" PATH="$PLACE/a toolkit/bin:$PATH" run -0 source_it once
    [ "${lines[0]}" = "$PROJECT/scripts/lib/cuda11" ]
    [ "${lines[1]}" = "$wheels:$PLACE/plugin/gpu11.6" ]
  done
}

@test "an unset CUDA_HOME is not the folder above /bin/nvcc" {
  # shellcheck disable=SC2317  # called by the sourced file
  function /bin/nvcc { echo "Cuda compilation tools, release 11.8, V11.8.1"; }
  run -0 source_it once
  [ "${lines[0]}" = "$PROJECT/scripts/lib/cuda11" ]
}

@test "sourced by a relative path or a link, with CDPATH set" {
  cd "$PROJECT"
  ln -s "$PROJECT/scripts/lib/gpu_env.sh" "$PLACE/link.sh"
  local file
  for file in scripts/lib/gpu_env.sh "$PLACE/link.sh"; do
    # shellcheck disable=SC2016  # for the inner shell
    CDPATH=.:/ run -0 bash -c 'source "$1"; echo "$CUDA_HOME"' _ "$file"
    [ "$output" = "$PROJECT/scripts/lib/cuda11" ]
  done
}

@test "without an answer of ldd nothing is known, and that is said" {
  # shellcheck disable=SC2317  # called by the sourced file
  ldd() { echo "ldd: command not found" >&2; return 127; }
  run -1 source_it once
  [[ "$output" == "gpu_env.sh: ldd cannot tell"*"libmindspore_gpu.so.11.6 lacks: ldd: command not found" ]]
}

@test "what is lacking is said in one line, with what installs it, and stops the scripts" {
  LACKING="libcudnn.so.8 libcuda.so.1" run -1 source_it once
  [[ "$output" == *"lacking: libcudnn.so.8 libcuda.so.1 (NVIDIA's driver); install them: "* ]]
  [[ "$output" == *" $PLACE/venv/bin/python -m pip install -r $PROJECT/requirements-gpu.txt" ]]
  LACKING=libcuda.so.1 run -1 source_it once
  [[ "$output" == *"NVIDIA's driver, libcuda.so.1, is lacking"* ]]
  [ "${#lines[@]}" -eq 1 ]
  LACKING=libcuda.so.1 assert_refused "NVIDIA's driver" run_standalone_train_gpu.sh 0 "a data set" out none
  LACKING=libcuda.so.1 assert_refused "NVIDIA's driver" run_distribute_train_gpu.sh 2 "a data set" out none
  LACKING=libcuda.so.1 assert_refused "NVIDIA's driver" run_eval_gpu.sh 0 "a data set" "weights/net 1.ckpt"
  rm plugin/*
  run -1 source_it once
  [[ "$output" == *"has no MindSpore with a plug-in for GPUs"* ]]
}
