#!/usr/bin/env bash
# Summary: train a small OCRNet on the CPU, evaluate it and paint its pictures, from nothing, within ten minutes.
#
# Usage: bash scripts/quickstart.sh [--data_path DIR] [--output_path DIR]
#   --data_path DIR    a Cityscapes or CamVid folder; without it, synthetic street scenes are made in data/synthetic
#   --output_path DIR  where the results go (default: outputs/quickstart, or outputs/quickstart_NAME for a data folder)
#
# A second call reuses what is there: the environment, the pictures and the training; one that was interrupted goes on where it stopped.
#
# Environment:
#   OCRNET_VENV  virtual environment, made when absent (default: .venv)
#   PYTHON       interpreter to make it with (default: python3)
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

data_path=""
output_path=""
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) print_help "$0"; exit 0 ;;
    --data_path | --output_path)
      [ $# -ge 2 ] || fail "$1 needs a folder (see --help)"
      # Absolute: everything below runs in the project's root.
      declare "${1#--}=$(realpath -m -- "$2")"
      shift 2
      ;;
    *) fail "unknown argument '$1' (see --help)" ;;
  esac
done

# What fits ten minutes on two cores, for each kind of data.
recipe=(--config demo)
if [ -z "$data_path" ]; then
  name=synthetic
elif [ -d "$data_path/leftImg8bit" ]; then
  name=cityscapes
  recipe+=(train.base_size=512 "eval.image_size=[256,512]" eval.num_samples=100 "train.num_samples=400")
elif [ -d "$data_path/trainannot" ]; then
  name=camvid
  recipe=(--config camvid_w18_small --total_epoch 6 --eval_interval 6)
else
  fail "$data_path is neither a Cityscapes folder (leftImg8bit/ and gtFine/) nor a CamVid folder (train/ and trainannot/)"
fi
suffix=""
[ "$name" = synthetic ] || suffix="_$name"
output_path="${output_path:-$ROOT/outputs/quickstart$suffix}"

cd "$ROOT"
prepare_venv requirements.txt
python="$VENV/bin/python"

if [ "$name" = synthetic ]; then
  data_path="$ROOT/data/synthetic"
  say "synthetic street scenes in $data_path"
  "$python" -m src.data.synthetic --data_path "$data_path" --num_train 240 --num_val 40 --size 256 512 --seed 1
fi

if [ -f "$output_path/config.yaml" ] && ! grep -qxF "data_path: $data_path" "$output_path/config.yaml"; then
  fail "$output_path holds a training on other data ($(grep '^data_path' "$output_path/config.yaml")); choose another --output_path"
fi

# The weights of the schedule's last epoch are always kept.
total_epoch="$(sed -n 's/^total_epoch: //p' "$output_path/config.yaml" 2>/dev/null || true)"
if [ -n "$total_epoch" ] && [ -f "$output_path/checkpoints/epoch_$(printf %04d "$total_epoch").ckpt" ]; then
  say "the training in $output_path is complete; remove the folder to train anew"
elif [ -f "$output_path/last.state" ]; then
  say "going on with the training in $output_path"
  "$python" train.py --resume "$output_path"
else
  say "training; results in $output_path"
  "$python" train.py "${recipe[@]}" --data_path "$data_path" --output_path "$output_path"
fi

say "evaluating the best weights on the validation pictures"
"$python" eval.py --checkpoint_path "$output_path/best.ckpt" --data_path "$data_path"
say "pictures: $output_path/eval/  curves: $output_path/curves.png  numbers: $output_path/eval.json"
