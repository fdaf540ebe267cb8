# Shared by the scripts that start train.py and eval.py: their arguments, their checks, the start. Sourced after common.sh, not run.
# shellcheck shell=bash

declare -A given=() # what the script was given: given[NAME] for each name of its usage
options=()          # what follows "--", unchanged
python=""           # the interpreter
how=()              # how src/launch starts the processes
device=()           # the flags of train.py or eval.py that the script stands for

# Read a script's arguments into `given` and `options`. $1: the names of its usage, optional ones in brackets. The rest: the arguments.
read_arguments() {
  local usage="$1" name values=() needed=() allowed=0
  shift
  case "${1:-}" in
    -h | --help) print_help "$0"; exit 0 ;;
  esac
  for name in $usage; do
    allowed=$((allowed + 1))
    [[ "$name" == \[* ]] || needed+=("$name")
  done
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    [[ "$1" != -* ]] || fail "'$1' is no argument of this script; options of train.py or eval.py go behind -- (see --help)"
    values+=("$1")
    shift
  done
  [ $# -eq 0 ] || options=("${@:2}")
  [ ${#values[@]} -ge ${#needed[@]} ] && [ ${#values[@]} -le "$allowed" ] \
    || fail "expected $usage, got ${#values[@]} arguments (see --help)"
  for name in "${needed[@]}"; do
    [ -n "${values[0]}" ] || fail "$name is empty (see --help)"
    given[$name]="${values[0]}"
    values=("${values[@]:1}")
  done
  read_optional "${values[@]}"
}

# Read [BEGIN_EPOCH] [EVAL_CALLBACK]; either may be left out, for a number and True or False cannot be taken for one another, or be empty.
read_optional() {
  [ $# -gt 0 ] || return 0
  if [[ "$1" =~ ^[0-9]*$ ]]; then
    given[BEGIN_EPOCH]="$1"
    shift
  fi
  case "${1:-}" in
    "") return 0 ;;
    [Tt][Rr][Uu][Ee]) given[EVAL_CALLBACK]=True ;;
    [Ff][Aa][Ll][Ss][Ee]) given[EVAL_CALLBACK]=False ;;
    *) fail "'$1': expected BEGIN_EPOCH, a number from 0, or EVAL_CALLBACK, True or False (see --help)" ;;
  esac
  [ $# -eq 1 ] || fail "'$2' behind EVAL_CALLBACK: BEGIN_EPOCH comes before it, and nothing after (see --help)"
}

is_none() { [ "${1,,}" = none ]; }

# The caller's path as an absolute one; links stay, since what lies beside a link belongs to it.
absolute() { realpath -ms -- "$1"; }

# $1: name for messages. $2: value. $3: least value.
check_number() { { [[ "$2" =~ ^[0-9]{1,9}$ ]] && [ "$2" -ge "$3" ]; } || fail "$1 '$2': expected a number from $3"; }

# $1: name of an environment variable that switches something on.
check_switch() { [[ "${!1:-0}" =~ ^[01]$ ]] || fail "$1 '${!1}': expected 1 or 0"; }

# Check and make absolute what every script is given, and find the interpreter.
check_all() {
  local path="${given[DATASET_PATH]}"
  [ -d "$path" ] || fail "DATASET_PATH $path: no such folder"
  given[DATASET_PATH]="$(absolute "$path")"
  path="${given[CHECKPOINT_PATH]}"
  if ! is_none "$path"; then
    [ -f "$path" ] || fail "CHECKPOINT_PATH $path: no such file"
    given[CHECKPOINT_PATH]="$(absolute "$path")"
  fi
  check_switch DETACH
  check_switch RESUME
  python="$(find_python)"
  require_packages "$python" mindspore omegaconf cv2 imagecodecs
}

# Check that there are so many GPUs, as far as this can be told, and find the CUDA libraries. $1: how many. $2: who says so, for messages.
use_gpus() {
  local found=() visible source="nvidia-smi finds"
  if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
    source="CUDA_VISIBLE_DEVICES holds"
    visible=",$CUDA_VISIBLE_DEVICES"
    visible="${visible%%,-*}" # CUDA takes none from the first negative number on
    IFS=, read -ra found <<<"${visible#,}"
  else
    mapfile -t found < <(nvidia-smi -L 2>/dev/null | grep '^GPU ')
  fi
  [ "$1" -le ${#found[@]} ] || { [ ${#found[@]} -eq 0 ] && [ "$source" = "nvidia-smi finds" ]; } \
    || fail "$2: $source ${#found[@]} devices (they count from 0)"
  # shellcheck source=scripts/lib/gpu_env.sh
  source "$ROOT/scripts/lib/gpu_env.sh" || exit 2
}

# Put the number of processes, and what several hosts need from the environment, into `how`. $1: processes on this host.
use_msrun() {
  local total="${WORKER_NUM:-$1}" name
  how=(--msrun "$1")
  check_number WORKER_NUM "$total" 1
  [ "$1" -le "$total" ] || fail "WORKER_NUM $total: fewer than the $1 processes of this host; it counts those of all hosts"
  if [ "$1" -lt "$total" ]; then
    for name in NODE_RANK MASTER_ADDR MASTER_PORT; do
      [ -n "${!name:-}" ] || fail "$1 of $total processes are on this host, so there are several hosts: set $name too (see --help)"
    done
    check_number NODE_RANK "$NODE_RANK" 0
    how+=(--worker_num "$total" --node_rank "$NODE_RANK")
  elif [ -n "${NODE_RANK:-}" ]; then
    # Each host would train for itself, all into one folder.
    fail "NODE_RANK $NODE_RANK: all $total processes are on this host; unset it, or set WORKER_NUM to the number on all hosts"
  fi
  [ -z "${MASTER_ADDR:-}" ] || how+=(--master_addr "$MASTER_ADDR")
  [ -z "${MASTER_PORT:-}" ] || { check_number MASTER_PORT "$MASTER_PORT" 1; how+=(--master_port "$MASTER_PORT"); }
}

# Put the number of processes, all of them on this host, into `how`. $1: the number.
use_mpirun() {
  local name
  for name in WORKER_NUM NODE_RANK MASTER_ADDR MASTER_PORT; do
    [ -z "${!name:-}" ] || fail "$name ${!name}: LAUNCHER=mpirun is for one host alone; unset $name, or take LAUNCHER=msrun"
  done
  how=(--mpirun "$1")
}

# Hand over to the launcher, or put it into the background. $1: folder for its logs. The rest: the command for each process.
start() {
  local logs="$1" command
  shift
  # A src/ in the caller's folder is not ours (Python 3.11 and later).
  export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" PYTHONSAFEPATH=1
  command=("$python" -m src.launch --log_dir "$logs" "${how[@]}" -- "$@")
  say "starting:$(printf ' %q' "${command[@]}")"
  [ "${DETACH:-0}" = 1 ] || exec "${command[@]}"
  detach "$logs" "${command[@]}"
}

# Print what the ranks say of themselves in a folder, with what tells it from an earlier launch's. $1: the folder.
list_ranks() { find "$1" -maxdepth 1 \( -name 'rank_*.pid' -o -name 'rank_*.exit' \) -printf '%f %i %T@\n' 2>/dev/null || true; }

# Start a command that outlives this shell, and wait half a minute at most until a rank begins: what is refused before ends this script too.
# console.log, to which each launch adds, gets what the foreground would show. $1: folder for its logs. The rest: the command.
detach() {
  local logs="$1" log="$1/console.log" before pid status=0
  mkdir -p -- "$logs" || fail "$logs cannot be made"
  before="$(list_ranks "$logs")"
  setsid nohup "${@:2}" >>"$log" 2>&1 </dev/null &
  pid=$!
  for _ in {1..300}; do
    sleep 0.1
    kill -0 "$pid" 2>/dev/null || break
    ! list_ranks "$logs" | grep -qvxFf <(printf %s "$before") || break
  done
  if kill -0 "$pid" 2>/dev/null; then
    say "pid $pid, log $log ('kill $pid' saves and stops)"
    return
  fi
  wait "$pid" || status=$?
  [ "$status" -eq 0 ] || { tail -n 1 -- "$log" >&2; exit "$status"; }
  say "done already, log $log"
}

# Refuse options that would say otherwise what the script's own arguments say. The rest: their names.
check_options() {
  local option name
  for option in "${options[@]}"; do
    for name in "$@"; do
      [[ "$option" != "--$name" && "$option" != "--$name="* && "$option" != "$name="* ]] \
        || fail "'$option' behind --: the script's own arguments say this (see --help)"
    done
  done
}

# Start train.py with what was given.
train() {
  local output flags=()
  check_options device_target device_id run_distribute data_path output_path checkpoint_path begin_epoch
  output="$(absolute "${given[TRAIN_OUTPUT_PATH]}")"
  [ ! -e "$output" ] || [ -d "$output" ] || fail "TRAIN_OUTPUT_PATH $output: this is no folder"
  flags=("${device[@]}" --data_path "${given[DATASET_PATH]}" --output_path "$output")
  [ -z "${CONFIG:-}" ] || flags+=(--config "$CONFIG")
  is_none "${given[CHECKPOINT_PATH]}" || flags+=(--checkpoint_path "${given[CHECKPOINT_PATH]}")
  [ -z "${given[BEGIN_EPOCH]:-}" ] || flags+=(--begin_epoch "${given[BEGIN_EPOCH]}")
  [ "${RESUME:-0}" = 0 ] || flags+=(--resume auto)
  [ -z "${given[EVAL_CALLBACK]:-}" ] || flags+=(--eval_callback "${given[EVAL_CALLBACK]}")
  start "$output/logs/train" "$python" "$ROOT/train.py" "${flags[@]}" "${options[@]}"
}

# Start eval.py with what was given.
evaluate() {
  local output flags=()
  check_options device_target device_id run_distribute data_path output_path checkpoint_path
  is_none "${given[CHECKPOINT_PATH]}" && fail "CHECKPOINT_PATH none: evaluating needs weights, a .ckpt file"
  output="$(absolute "${OUTPUT_PATH:-$(dirname -- "${given[CHECKPOINT_PATH]}")}")"
  flags=("${device[@]}" --data_path "${given[DATASET_PATH]}" --checkpoint_path "${given[CHECKPOINT_PATH]}" --output_path "$output")
  [ -z "${CONFIG:-}" ] || flags+=(--config "$CONFIG")
  start "$output/logs/eval" "$python" "$ROOT/eval.py" "${flags[@]}" "${options[@]}"
}
