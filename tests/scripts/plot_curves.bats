#!/usr/bin/env bats
# plot_curves.sh on a real log.
bats_require_minimum_version 1.5.0

setup() {
  SCRIPT="$BATS_TEST_DIRNAME/../../scripts/plot_curves.sh"
  cd "$BATS_TEST_TMPDIR" || return 1
  mkdir "a run" src
  echo "raise SystemExit('a foreign src/ was imported')" >src/__init__.py
  printf '{"kind": "train", "step": %d, "epoch": 1, "loss": 0.5, "lr": 0.1}\n' 1 2 >"a run/metrics.jsonl"
  printf 'epoch: 1 step: 1, loss is 0.4\n===> mIoU: 0.80\n' >zoo.log
}

@test "runs are drawn from any folder, into curves.png or the file named" {
  run -0 bash "$SCRIPT" "a run" zoo.log
  [[ "$output" == "curves.png: a run (to step 2, 2 records, 0 evaluations), zoo (to step 1, 1 record, 1 evaluation)" ]]
  [ -s curves.png ]
  run -0 bash "$SCRIPT" zoo.log --output "a run/picture.png"
  [ -s "a run/picture.png" ]
}

@test "help names the arguments; without any, or with a missing log, it is one line and status 2" {
  run -0 bash "$SCRIPT" --help
  [[ "$output" == "Summary: draw loss"*"Usage: bash scripts/plot_curves.sh LOG_OR_DIR"*"OCRNET_VENV"* ]]
  run -2 --separate-stderr bash "$SCRIPT"
  [[ "$stderr" == "plot_curves.sh: expected LOG_OR_DIR"* ]]
  run -2 --separate-stderr bash "$SCRIPT" nowhere
  [ "${#stderr_lines[@]}" -eq 1 ]
  [[ "$stderr" == *"nowhere: no such file or folder"* ]]
  [ ! -e curves.png ]
}
