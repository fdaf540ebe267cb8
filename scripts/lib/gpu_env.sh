# Give MindSpore the CUDA 11 libraries: those of the pip wheels (requirements-gpu.txt), or of a toolkit from 11.6 on. Sourced, not run: by
# the scripts for GPUs, and by hand in bash, `source scripts/lib/gpu_env.sh`. Doing it twice changes nothing.
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

# Print the version of a toolkit if it is 11.6 to 11.9; nothing for another one, or none. $1: its folder.
# For 11.1 to 11.5 MindSpore loads a plug-in that wants libnvrtc.so.11.1, which no wheel holds.
gpu_env_version() { "$1/bin/nvcc" --version 2>/dev/null | sed -n 's/.*release \(11\.[6-9]\),.*/\1/p'; }

# Choose CUDA_HOME, which MindSpore asks for its version: the user's if it will do, that of nvcc on PATH, or the stand-in. $1: the stand-in.
gpu_env_choose_home() {
  local nvcc folder
  nvcc="$(realpath -- "$(command -v nvcc)" 2>/dev/null)" || nvcc=""
  for folder in "${CUDA_HOME:-}" "${nvcc%/bin/nvcc}" /usr/local/cuda; do
    # An empty one would mean /bin.
    [ -n "$folder" ] && [ -n "$(gpu_env_version "$folder")" ] || continue
    export CUDA_HOME="$folder"
    return
  done
  export CUDA_HOME="$1"
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
  local checkout python install plugin found lacking folders=()
  checkout="$(cd -- "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/../.." && pwd)"
  python="${OCRNET_VENV:-${VIRTUAL_ENV:-$checkout/.venv}}/bin/python"
  [ -x "$python" ] || python="$(command -v python3)" || { gpu_env_say "no python3 found; set OCRNET_VENV"; return 1; }
  mapfile -t folders < <(gpu_env_folders "$python")
  gpu_env_choose_home "$checkout/scripts/lib/cuda11"
  install="install it: $python -m pip install -r $checkout/requirements-gpu.txt"
  plugin="${folders[0]:-}/libmindspore_gpu.so.11.6"
  if [ ! -f "$plugin" ]; then
    gpu_env_say "$python has no MindSpore with a plug-in for GPUs (its wheels for Linux on x86-64 have one); $install"
    return 1
  fi
  [ ! -d "$CUDA_HOME/lib64" ] || folders+=("$CUDA_HOME/lib64")
  gpu_env_prepend "${folders[@]:1}" "${folders[0]}/gpu11.6" # the last one has NCCL
  if ! found="$(ldd "$plugin" 2>&1)"; then
    gpu_env_say "ldd cannot tell which libraries $plugin lacks: ${found##*$'\n'}"
    return 1
  fi
  lacking="$(sed -n 's/^[[:space:]]*\([^ ]*\) => not found$/\1/p' <<<"$found" | xargs)"
  case "$lacking" in
    "") return 0 ;;
    libcuda.so.1) gpu_env_say "NVIDIA's driver, libcuda.so.1, is lacking; install it, or give it to a container (docker run --gpus all)" ;;
    *) gpu_env_say "these libraries are lacking: ${lacking/libcuda.so.1/"libcuda.so.1 (NVIDIA's driver)"}; ${install/it:/them:}" ;;
  esac
  return 1
}

gpu_env
