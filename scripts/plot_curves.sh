#!/usr/bin/env bash
# Summary: draw loss, learning rate, mIoU and speed of one or several runs into one picture.
#
# Usage: bash scripts/plot_curves.sh LOG_OR_DIR [LOG_OR_DIR ...] [--output FILE.png]
#   LOG_OR_DIR  output folder of train.py, its metrics.jsonl or train.log, or a text log in the manner of MindSpore's model zoo:
#               "epoch: 2 step: 124, loss is 0.324", "epoch time: 74857.710 ms, per step time: 603.691 ms", "===> mIoU: 0.80"
#   --output    the picture (default: curves.png in the current folder)
#
# A noisy loss is drawn faintly with its moving average over it. What a log does not tell is left out: the model zoo's know no learning rate,
# and where the number of pictures of a step is unknown, the time per step takes the place of pictures per second.
#
# Environment:
#   OCRNET_VENV  virtual environment whose Python is used where there is one (default: .venv), else python3
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/lib/common.sh"

case "${1:-}" in
  -h | --help) print_help "$0"; exit 0 ;;
  "") fail "expected LOG_OR_DIR [LOG_OR_DIR ...] [--output FILE.png] (see --help)" ;;
esac
python="$(find_python)"
require_packages "$python" matplotlib numpy tensorboardX omegaconf
# A src/ in the caller's folder is not ours (Python 3.11 and later).
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" PYTHONSAFEPATH=1
exec "$python" -m src.engine.plot_curves "$@"
