#!/usr/bin/env bash
# Summary: install what the tests need and run every check: lint, types, shell scripts, Python tests.
#
# Usage: bash scripts/run_tests.sh [PYTEST_ARGUMENT ...]
#   Arguments go to pytest; without any, everything runs.
#
# Environment:
#   OCRNET_VENV  virtual environment, made when absent (default: .venv)
#   PYTHON       interpreter to make it with (default: python3)
#   OCRNET_REFERENCES  folder for mmsegmentation, timm and PaddleSeg, installed when absent (default: references in the virtual
#                environment; 0.9 GB); "none" leaves them out, and the tests that compare with them are skipped
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

case "${1:-}" in
  -h | --help) print_help "$0"; exit 0 ;;
esac

cd "$ROOT"
prepare_venv requirements-dev.txt
if [ "${OCRNET_REFERENCES:-}" != none ]; then
  OCRNET_REFERENCES="$(realpath -m -- "${OCRNET_REFERENCES:-$VENV/references}")"
  install_aside requirements-references.txt "$OCRNET_REFERENCES"
fi
export OCRNET_REFERENCES
say "dependencies agree"
"$VENV/bin/python" -m pip check
say "lint"
"$VENV/bin/ruff" check .
"$VENV/bin/ruff" format --check .
say "types"
"$VENV/bin/mypy"
say "shell scripts"
"$VENV/bin/shellcheck" --external-sources scripts/*.sh scripts/lib/*.sh .ci/run
say "tests"
exec "$VENV/bin/python" -m pytest "$@"
