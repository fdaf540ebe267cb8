# Shared by the scripts that do one thing after the other: a step that a signal to the script ends too. Sourced, not run.
# shellcheck shell=bash

step_pid="" # of the step at work

# Run a step so that a signal to this script ends it. Everything: the command.
run_step() {
  local status=0
  "$@" &
  step_pid=$!
  wait "$step_pid" || status=$?
  step_pid=""
  return "$status"
}

# Stop the step at work, then leave. $1: exit status.
stop_step() {
  trap '' INT TERM HUP
  if [ -n "$step_pid" ]; then
    kill -TERM "$step_pid" 2>/dev/null || true
    wait "$step_pid" 2>/dev/null || true
  fi
  exit "$1"
}
trap 'stop_step 130' INT
trap 'stop_step 143' TERM
trap 'stop_step 129' HUP
