#!/usr/bin/env bash
# Summary: get MindSpore Lite 2.0.0 (C++ headers and libraries for Linux on x86-64) and print the folder that holds include/ and lib/.
#
# Usage: bash scripts/fetch_mindspore_lite.sh
#   The first call downloads the wheel (168 MB) by pip, checks its SHA-256 and unpacks it (0.5 GB); later calls only print the folder.
#   export MS_LITE_HOME="$(bash scripts/fetch_mindspore_lite.sh)"
#
# Environment:
#   OCRNET_CACHE  folder for what is fetched (default: ${XDG_CACHE_HOME:-$HOME/.cache}/ocrnet)
#   OCRNET_VENV   virtual environment whose pip is used where there is one (default: .venv), else python3's
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/lib/common.sh"
# shellcheck source=scripts/lib/fetch.sh
source "$ROOT/scripts/lib/fetch.sh"

LIBRARY="MindSpore Lite" SIZE="168 MB" SIZE_UNPACKED="0.5 GB"
PACKAGE=mindspore-lite
VERSION=2.0.0
SHA256=199cd0605cc985b88eddb273db9dfe9000a585ba10ca2292b6b36ebfff07b3ec
TAGS=(--python-version 3.7 --implementation cp --platform manylinux1_x86_64)
INSIDE=mindspore_lite
PARTS=(include/ lib/ version.py)
PROOF=(include/api/model.h lib/libmindspore-extendrt_python.so)
VARIABLE=MS_LITE_HOME

case "${1:-}" in
  -h | --help) print_help "$0" ;;
  "") fetch_wheel ;;
  *) fail "unknown argument '$1' (see --help)" ;;
esac
