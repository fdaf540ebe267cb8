#!/usr/bin/env bats
# run_seeds.sh with stubs of train.py and eval.py; what it computes of their results is real.
bats_require_minimum_version 1.5.0

setup() {
  load launch_stubs
  make_place
  rm "$PLACE/venv/bin/python"
  cat >"$PLACE/venv/bin/python" <<'STUB'
#!/usr/bin/env bash
# Writes down each call; train.py leaves weights, unless FAILING names its seed, and eval.py an IoU of 0.N for seed N.
set -euo pipefail
value_of() { local name="$1"; shift; while [ "$1" != "$name" ]; do shift; done; printf '%s' "$2"; }
case "$*" in
  -c\ *find_spec*) ;;
  "$PROJECT/train.py"*)
    printf '%s\n' "train $*" >>"$RECORDS/calls"
    [ "${REFUSED:-0}" = 0 ] || exit 2
    folder="$(value_of --output_path "$@")"
    mkdir -p "$folder"
    [ "${FAILING:-}" != "$(value_of --seed "$@")" ] || exit 143
    touch "$folder/last.ckpt"
    ;;
  "$PROJECT/eval.py"*)
    printf '%s\n' "eval $*" >>"$RECORDS/calls"
    folder="$(value_of --output_path "$@")"
    seed="${folder%/eval_*}"
    mkdir -p "$folder"
    printf '{"miou": 0.%s, "iou": {"road": 0.%s}, "protocol": {}, "images": 3, "pixels": {"road": 9}}' "${seed##*_}" "${seed##*_}" \
      >"$folder/eval.json"
    ;;
  *) exec "$REAL_PYTHON" "$@" ;;
esac
STUB
  chmod +x "$PLACE/venv/bin/python"
}

# The lines of the calls since the last look. $1: how many there must be.
calls() {
  [ "$(wc -l <"$RECORDS/calls")" -eq "$1" ] || { cat "$RECORDS/calls"; return 1; }
  mapfile -t lines <"$RECORDS/calls"
  rm "$RECORDS/calls"
}

@test "each seed is trained and evaluated; done ones are not repeated, a broken one goes on, more can be added" {
  FAILING=4 run -143 call run_seeds.sh demo "a data set" "an out" 2 4 -- --device_target CPU "train.image_size=[64, 128]"
  calls 3
  local start="$PROJECT/train.py --resume auto --config demo --data_path $PLACE/a data set --output_path $PLACE/an out"
  [ "${lines[0]}" = "train $start/seed_2 --seed 2 --device_target CPU train.image_size=[64, 128]" ]
  [ "${lines[1]}" = "eval $PROJECT/eval.py --checkpoint_path $PLACE/an out/seed_2/last.ckpt --data_path $PLACE/a data set --output_path $PLACE/an out/seed_2/eval_last" ]
  [ "${lines[2]}" = "train $start/seed_4 --seed 4 --device_target CPU train.image_size=[64, 128]" ]
  [ ! -e "an out/seeds.json" ]
  run -0 call run_seeds.sh demo "a data set" "an out" 2 04 -- --device_target CPU "train.image_size=[64, 128]"
  [[ "$output" == *"mIoU 0.3000 +- 0.1414: mean and sample standard deviation of 2 seeds"* ]]
  calls 2
  [[ "${lines[0]}" == "train "*"--seed 4 "* ]]
  run -0 call run_seeds.sh demo "a data set" "an out" 2 4 6 -- --device_target CPU "train.image_size=[64, 128]"
  [[ "$output" == *"seed 2 is done"*"seed 4 is done"*"mIoU 0.4000 +- 0.2000"* ]]
  calls 2
  [ -s "an out/seeds.json" ]
}

@test "another recipe in the same folder, and weights that are not there" {
  call run_seeds.sh demo "a data set" out 1
  rm "$RECORDS/calls"
  assert_refused "holds seeds of another recipe, that of $PLACE/out/recipe.txt" run_seeds.sh demo "a data set" out 1 2 -- --lr 0.1
  WEIGHTS=best run -2 call run_seeds.sh demo "a data set" out 1
  [[ "$output" == *"WEIGHTS=best needs -- --eval_callback True" ]]
}

@test "another content of the recipe's file, and other data" {
  mkdir -p "other data"
  ln -s "a data set" "same data"
  echo "lr: 0.1" >recipe.yaml
  call run_seeds.sh recipe.yaml "a data set" out 1
  assert_refused_here() { assert_refused "give the same arguments, file and data" run_seeds.sh recipe.yaml "$1" out 1 2; }
  rm "$RECORDS/calls"
  assert_refused_here "other data"
  call run_seeds.sh recipe.yaml "same data" out 1
  echo "lr: 0.2" >recipe.yaml
  assert_refused_here "a data set"
}

@test "what train.py refuses leaves nothing" {
  REFUSED=1 run -2 call run_seeds.sh nothing "a data set" out 1
  [ ! -e out ]
}

@test "wrong arguments" {
  touch "a file"
  assert_refused "got 3 arguments" run_seeds.sh demo "a data set" out
  assert_refused "no SEED is given" run_seeds.sh demo "a data set" out -- --lr 1
  assert_refused "SEED 'one': expected a number from 0" run_seeds.sh demo "a data set" out one
  assert_refused "SEED '-1': expected a number from 0" run_seeds.sh demo "a data set" out -1
  assert_refused "SEED 1 is given twice" run_seeds.sh demo "a data set" out 1 2 01
  assert_refused "DATASET_PATH nowhere: no such folder" run_seeds.sh demo nowhere out 1
  assert_refused "this is no folder" run_seeds.sh demo "a data set" "a file" 1
  assert_refused "'--seed' behind --" run_seeds.sh demo "a data set" out 1 -- --seed 2
  WEIGHTS=first assert_refused "WEIGHTS 'first': expected last or best" run_seeds.sh demo "a data set" out 1
}
