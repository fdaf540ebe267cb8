#!/usr/bin/env bash
# Summary: run every command of README*.md, CONTRIBUTING.md and docs/*.md on tiny data.
#
# Usage: bash scripts/check_docs.sh [TEXT ...]
#   TEXT  only commands that hold one of these, as in eval.py or docs/TRAIN.md:
#
# All of them took 25 minutes on two busy cores (13 of processor time), of which the data and weights 2 to 3; not part of run_tests.sh, which only
# parses the commands. Run it before a release, and for the commands that you touch.
#
# A copy of the project with tiny data, weights and results is made in a temporary folder; every command begins with the same files there.
# Commands for devices that are not here run with stubs; what cannot run is parsed. tests/docs/commands.yaml says what is done with which
# command, and why; one that it does not know is an error.
#
# Environment:
#   OCRNET_VENV  virtual environment with requirements-dev.txt (default: .venv; scripts/run_tests.sh makes it)
#   MS_LITE_HOME, OCRNET_CACHE  MindSpore Lite to use, or where to keep the fetched one (scripts/fetch_mindspore_lite.sh --help)
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/lib/common.sh"

case "${1:-}" in
  -h | --help) print_help "$0"; exit 0 ;;
esac
[[ "${1:-}" != -* ]] || fail "unknown option '$1' (see --help)"
[ -x "$VENV/bin/python" ] || fail "no $VENV/bin/python; scripts/run_tests.sh makes it"
require_packages "$VENV/bin/python" mindspore pytest yaml torch
cd "$ROOT"
exec "$VENV/bin/python" -m tests.docs.run_commands "$@"
