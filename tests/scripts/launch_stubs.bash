# What the tests of the launching scripts share: a folder with data and weights, and stubs in place of python, ldd, msrun and mpirun.
# shellcheck shell=bash

PROJECT="$(cd -- "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/../.." && pwd)"
STUBS="$PROJECT/tests/scripts/stubs"
REAL_PYTHON="${OCRNET_VENV:-$PROJECT/.venv}/bin/python"
[ -x "$REAL_PYTHON" ] || REAL_PYTHON="$(command -v python3)"

# Make the folder, with spaces in its names, go there, and take away what the caller's environment says.
make_place() {
  local variable
  for variable in CONFIG RESUME DETACH OUTPUT_PATH LAUNCHER MPIRUN_OPTIONS WORKER_NUM LOCAL_WORKER_NUM NODE_RANK MASTER_ADDR MASTER_PORT \
    CUDA_VISIBLE_DEVICES CUDA_HOME CDPATH VIRTUAL_ENV LD_LIBRARY_PATH PYTHONPATH DEVICE_IPS SERVER_ID \
    RANK_ID DEVICE_ID RANK_SIZE RANK_TABLE_FILE; do
    unset "$variable"
  done
  PLACE="$(realpath "$BATS_TEST_TMPDIR")/a place"
  RECORDS="$PLACE/records"
  mkdir -p "$PLACE/a data set" "$PLACE/weights" "$RECORDS" "$PLACE/venv/bin"
  touch "$PLACE/weights/net 1.ckpt"
  ln -s "$STUBS"/* "$PLACE/venv/bin/"
  export PROJECT PLACE RECORDS REAL_PYTHON OCRNET_VENV="$PLACE/venv" PATH="$PLACE/venv/bin:$PATH"
  cd "$PLACE" || return 1
}

# Run a script of the project. $1: its name. The rest: its arguments.
call() { bash "$PROJECT/scripts/$1" "${@:2}"; }

# Print the processes that work for the folder.
running() {
  local process
  for process in /proc/[0-9]*; do
    [[ "$(tr '\0' ' ' 2>/dev/null <"$process/cmdline")" != *" $PLACE/"* ]] || echo "$process"
  done
}

# Compare a record, an argument on each line, with what it should be. $1: the record. The rest: the arguments.
assert_record() { diff -u --label expected --label "$1" <(printf '%s\n' "${@:2}") "$RECORDS/$1"; }

# The launcher was started for train.py. $1: its log folder. The rest: how, "--", the flags of train.py.
assert_training() {
  local logs="$1" how=()
  shift
  while [ "$1" != -- ]; do
    how+=("$1")
    shift
  done
  assert_record launch -m src.launch --log_dir "$logs" "${how[@]}" -- "$PLACE/venv/bin/python" "$PROJECT/train.py" "${@:2}"
}

# A script refused its call: status 2, nothing started, one line on stderr. $1: words of the line. The rest: script and arguments.
assert_refused() {
  local words="$1"
  run -2 --separate-stderr call "${@:2}"
  # shellcheck disable=SC2154  # bats sets stderr
  [[ "$stderr" == *"$words"* ]] || { echo "expected '$words' in: $stderr"; return 1; }
  [ "$(wc -l <<<"$stderr")" -eq 1 ] || { echo "more than one line: $stderr"; return 1; }
  [ -z "$(ls "$RECORDS")" ] || { echo "something was started: $(ls "$RECORDS")"; return 1; }
}
