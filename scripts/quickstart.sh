#!/usr/bin/env bash
# Summary: train a small OCRNet on the CPU, evaluate it, paint its pictures, export it and run it in C++, from nothing, within ten minutes.
#
# Usage: bash scripts/quickstart.sh [--data_path DIR] [--output_path DIR]
#   --data_path DIR    a Cityscapes or CamVid folder; without it, synthetic street scenes are made in data/synthetic
#   --output_path DIR  where the results go (default: outputs/quickstart, or outputs/quickstart_NAME for a data folder)
#
# A second call reuses what is there: the environment, the pictures, the training and the exported model; one that was interrupted goes on
# where it stopped. C++ needs cmake, a compiler, and Linux on x86-64 or MS_LITE_HOME; without them it is left out.
#
# Environment:
#   OCRNET_VENV  virtual environment, made when absent (default: .venv)
#   PYTHON       interpreter to make it with (default: python3)
#   MS_LITE_HOME, OCRNET_CACHE  MindSpore Lite to use, or where to keep the fetched one (scripts/fetch_mindspore_lite.sh --help)
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/lib/common.sh"

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

lacking="$(missing_for_cpp)"
[ -n "${MS_LITE_HOME:-}" ] || [ "$(uname -sm)" = "Linux x86_64" ] || lacking="MS_LITE_HOME, the MindSpore Lite for $(uname -sm)"
# Before the export, which checks its result in C++ where the library is at hand.
[ -n "$lacking" ] || [ -n "${MS_LITE_HOME:-}" ] || bash scripts/fetch_mindspore_lite.sh >/dev/null

model="$output_path/deploy/model.mindir"
if [ "$model" -nt "$output_path/best.ckpt" ]; then
  say "$model is there already"
else
  say "exporting the best weights"
  "$python" export.py --checkpoint_file "$output_path/best.ckpt" --file_name "$model" --file_format MINDIR --device_target CPU
fi

if [ -n "$lacking" ]; then
  say "not run in C++: this needs $lacking; then: OUTPUT_PATH=$output_path/deploy bash scripts/run_cpp_infer.sh $model $data_path CPU"
else
  OUTPUT_PATH="$output_path/deploy" bash scripts/run_cpp_infer.sh "$model" "$data_path" CPU
  in_python="$(sed -n 's/^ *"miou": \([0-9.e-]*\),*$/\1/p' "$output_path/eval.json")"
  say "mIoU: in Python $in_python, in C++ $(sed -n 's/^miou: //p' "$output_path/deploy/acc.log")"
fi
say "pictures: $output_path/eval/  curves: $output_path/curves.png  numbers: $output_path/eval.json"
