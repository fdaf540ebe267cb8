#!/usr/bin/env bash
# Summary: train with several seeds, evaluate each, and print mean and standard deviation of the mIoU and of every class.
#
# Usage: bash scripts/run_seeds.sh CONFIG DATASET_PATH OUTPUT_PATH SEED [SEED ...] [-- OPTION ...]
#   CONFIG        preset or YAML file of the recipe
#   DATASET_PATH  folder of the data set
#   OUTPUT_PATH   folder for the results: a run in seed_N for each seed, its evaluation in seed_N/eval_last, and seeds.json
#   SEED          number from 0; one seed gives no spread
#   OPTION        more options of train.py, for every seed, as in: -- --device_target CPU train.ema_decay=0.999 eval.flip=True
#
# Seed after seed is trained in one process, on the device that the recipe or --device_target names, and evaluated as its configuration
# says. A second call does what is left: a seed that was evaluated is not repeated, one that was interrupted goes on where it stopped; more
# seeds can be added. The other arguments must be the same then, and so must be the content of a YAML file and the place of the data: a folder
# with another recipe is refused. It stops at the first step that fails, with its status; an interrupt or SIGTERM stops the step too, which
# saves.
#
# Environment:
#   WEIGHTS      which weights are evaluated: last (default), or best, which were chosen by the validation pictures that they are then
#                evaluated on (needs eval_callback True); evaluations are in seed_N/eval_WEIGHTS
#   OCRNET_VENV  virtual environment whose Python is used where there is one (default: .venv), else python3
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/lib/common.sh"
# shellcheck source=scripts/lib/launch.sh
source "$ROOT/scripts/lib/launch.sh"
# shellcheck source=scripts/lib/steps.sh
source "$ROOT/scripts/lib/steps.sh"

seeds=()

# Read the arguments into `given`, `seeds` and `options`, and check them.
read_seeds() {
  local seed
  for seed in "$@"; do
    shift
    [ "$seed" != -- ] || { options=("$@"); break; }
    check_number SEED "$seed" 0
    seed=$((10#$seed))
    [[ " ${seeds[*]} " != *" $seed "* ]] || fail "SEED $seed is given twice"
    seeds+=("$seed")
  done
  [ ${#seeds[@]} -gt 0 ] || fail "no SEED is given (see --help)"
  check_options config data_path output_path seed resume
}

# Print the device that the options name, or nothing.
device_of_options() {
  local option before=""
  for option in "${options[@]}"; do
    [ "$before" != --device_target ] || printf '%s\n' "$option"
    [[ "$option" != ?(--)device_target=* ]] || printf '%s\n' "${option#*=}"
    before="$option"
  done
}

# Print the recipe: the arguments, the content of a file among them, and where the data is.
recipe() {
  printf '%s\n' "$config" "${options[@]}"
  [ ! -f "$config" ] || printf 'sha256 of CONFIG: %s\n' "$(sha256sum <"$config")"
  printf 'DATASET_PATH: %s\n' "$(realpath -- "$data")"
}

# Refuse a folder with runs of another recipe; note the recipe in a new one.
open_output() {
  local file="$output/recipe.txt"
  [ ! -e "$output" ] || [ -d "$output" ] || fail "OUTPUT_PATH $output: this is no folder"
  if [ -f "$file" ]; then
    recipe | cmp -s - "$file" \
      || fail "OUTPUT_PATH $output holds seeds of another recipe, that of $file; give the same arguments, file and data, or choose another folder"
    return
  fi
  { mkdir -p -- "$output" && recipe >"$file"; } 2>/dev/null || fail "OUTPUT_PATH $output cannot be written to"
}

# Leave no trace of a recipe that train.py refused.
forget_unused_recipe() {
  compgen -G "$output/seed_*" >/dev/null || rm -f -- "$output/recipe.txt"
  rmdir -- "$output" 2>/dev/null || true
}

case "${1:-}" in
  -h | --help) print_help "$0"; exit 0 ;;
esac
[ $# -ge 4 ] || fail "expected CONFIG DATASET_PATH OUTPUT_PATH SEED [SEED ...], got $# arguments (see --help)"
config="$1"
data="$(absolute "$2")"
output="$(absolute "$3")"
read_seeds "${@:4}"
[[ "$config" != *.y*ml ]] || config="$(absolute "$config")"
[ -d "$data" ] || fail "DATASET_PATH $2: no such folder"
weights="${WEIGHTS:-last}"
[[ "$weights" =~ ^(last|best)$ ]] || fail "WEIGHTS '$weights': expected last or best"
python="$(find_python)"
require_packages "$python" mindspore omegaconf cv2 imagecodecs
# shellcheck source=scripts/lib/gpu_env.sh
[ "$(device_of_options | tail -n 1)" != GPU ] || source "$ROOT/scripts/lib/gpu_env.sh" || exit 2
open_output
# A src/ in the caller's folder is not ours (Python 3.11 and later).
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" PYTHONSAFEPATH=1

for seed in "${seeds[@]}"; do
  run="$output/seed_$seed"
  evaluation="$run/eval_$weights"
  if [ -f "$evaluation/eval.json" ]; then
    say "seed $seed is done: $evaluation/eval.json"
    continue
  fi
  say "seed $seed: training in $run"
  run_step "$python" "$ROOT/train.py" --resume auto --config "$config" --data_path "$data" --output_path "$run" --seed "$seed" "${options[@]}" \
    || { status=$?; forget_unused_recipe; exit "$status"; }
  [ -f "$run/$weights.ckpt" ] || fail "$run has no $weights.ckpt; WEIGHTS=best needs -- --eval_callback True"
  say "seed $seed: evaluating $run/$weights.ckpt"
  run_step "$python" "$ROOT/eval.py" --checkpoint_path "$run/$weights.ckpt" --data_path "$data" --output_path "$evaluation"
done
run_step "$python" -m src.engine.seeds "$output" "${seeds[@]}" --evaluation "eval_$weights"
