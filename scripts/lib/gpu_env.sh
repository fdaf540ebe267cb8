# Give MindSpore the CUDA 11 libraries: those of the pip wheels (requirements-gpu.txt), or of a CUDA 11 toolkit. Sourced, not run: by the
# scripts for GPUs, and by hand in bash, `source scripts/lib/gpu_env.sh`. Doing it twice changes nothing.
# shellcheck shell=bash
#
# Environment: sets CUDA_HOME and LD_LIBRARY_PATH. Looks at the packages of OCRNET_VENV, VIRTUAL_ENV or .venv, or else of python3.
# Status: 0 when MindSpore's GPU plug-in finds every library; else 1, with one line that says what is lacking and what installs it.

gpu_env_say() { printf 'gpu_env.sh: %s\n' "$*" >&2; }

# Print the environment's folder of MindSpore's plug-ins, and the folders of NVIDIA's wheels, a line each. $1: the interpreter.
gpu_env_folders() {
  "$1" - <<'PYTHON'
import importlib.util
from pathlib import Path

for name, pattern in (("mindspore", "lib/plugin"), ("nvidia", "*/lib")):
    spec = importlib.util.find_spec(name)  # nothing is imported
    for folder in (spec.submodule_search_locations or []) if spec else []:
        print(*sorted(Path(folder).glob(pattern)), sep="\n")
PYTHON
}

# Print the CUDA 11 version of a toolkit; nothing for another one, or none. $1: its folder.
gpu_env_version() { "$1/bin/nvcc" --version 2>/dev/null | sed -n 's/.*release \(11\.[0-9]*\),.*/\1/p'; }

# Choose CUDA_HOME, which MindSpore asks for its version: the user's if it is CUDA 11, that of nvcc on PATH, or the stand-in.
gpu_env_choose_home() {
  local nvcc folder
  nvcc="$(realpath -- "$(command -v nvcc)" 2>/dev/null)" || nvcc=""
  for folder in "${CUDA_HOME:-}" "${nvcc%/bin/nvcc}" /usr/local/cuda "$(cd "$(dirname "${BASH_SOURCE[0]}")/cuda11" && pwd)"; do
    export CUDA_HOME="$folder"
    [ -z "$(gpu_env_version "$folder")" ] || return 0
  done
}

# Put folders in front of LD_LIBRARY_PATH, in their order, unless they are in it.
gpu_env_prepend() {
  local folder new=""
  for folder in "$@"; do
    [[ ":${LD_LIBRARY_PATH:-}:" == *":$folder:"* ]] || new+="$folder:"
  done
  [ -z "$new" ] || export LD_LIBRARY_PATH="${new%:}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

gpu_env() {
  local checkout python install lacking plugin=11.6 folders=()
  checkout="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
  python="${OCRNET_VENV:-${VIRTUAL_ENV:-$checkout/.venv}}/bin/python"
  [ -x "$python" ] || python="$(command -v python3)" || { gpu_env_say "no python3 found; set OCRNET_VENV"; return 1; }
  mapfile -t folders < <(gpu_env_folders "$python")
  gpu_env_choose_home
  [[ "$(gpu_env_version "$CUDA_HOME")" != 11.[1-5] ]] || plugin=11.1 # as MindSpore chooses
  install="install it: $python -m pip install -r $checkout/requirements-gpu.txt"
  if [ ! -f "${folders[0]:-}/libmindspore_gpu.so.$plugin" ]; then
    gpu_env_say "$python has no MindSpore with a plug-in for GPUs (its wheels for Linux on x86-64 have one); $install"
    return 1
  fi
  [ ! -d "$CUDA_HOME/lib64" ] || folders+=("$CUDA_HOME/lib64")
  gpu_env_prepend "${folders[@]:1}" "${folders[0]}/gpu$plugin" # the last one has NCCL
  lacking="$(ldd "${folders[0]}/libmindspore_gpu.so.$plugin" | sed -n 's/^[[:space:]]*\([^ ]*\) => not found$/\1/p' | xargs)"
  case "$lacking" in
    "") return 0 ;;
    libcuda.so.1) gpu_env_say "NVIDIA's driver, libcuda.so.1, is lacking; install it, or give it to a container (docker run --gpus all)" ;;
    *) gpu_env_say "these libraries are lacking: ${lacking/libcuda.so.1/"libcuda.so.1 (NVIDIA's driver)"}; ${install/it:/them:}" ;;
  esac
  return 1
}

gpu_env
