#!/usr/bin/env bash
# Summary: get OpenVINO 2026.4.1 (C++ headers and libraries for Linux on x86-64) and print the folder that holds include/ and libs/.
#
# Usage: bash scripts/fetch_openvino.sh
#   The first call downloads the wheel (59 MB) by pip, checks its SHA-256 and unpacks it (170 MB); later calls only print the folder.
#   export OPENVINO_HOME="$(bash scripts/fetch_openvino.sh)"
# The `openvino` folder of an installed wheel of that version does as well.
#
# Environment:
#   OCRNET_CACHE  folder for what is fetched (default: ${XDG_CACHE_HOME:-$HOME/.cache}/ocrnet)
#   OCRNET_VENV   virtual environment whose pip is used where there is one (default: .venv), else python3's
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/lib/common.sh"
# shellcheck source=scripts/lib/fetch.sh
source "$ROOT/scripts/lib/fetch.sh"

LIBRARY=OpenVINO SIZE="59 MB" SIZE_UNPACKED="170 MB"
PACKAGE=openvino
VERSION=2026.4.1 # as in requirements-deploy.txt
SHA256=2d22b1da03f7caf74df30e9f6417d0ab2f637e4a38e08e1dcd294d2c37407aaf
TAGS=(--python-version 3.11 --implementation cp --platform manylinux_2_28_x86_64)
INSIDE=openvino
PARTS=(include/ libs/ cmake/)
PROOF=(include/openvino/openvino.hpp libs/libopenvino.so.2641 libs/libopenvino_intel_cpu_plugin.so)
VARIABLE=OPENVINO_HOME

case "${1:-}" in
  -h | --help) print_help "$0" ;;
  "") fetch_wheel ;;
  *) fail "unknown argument '$1' (see --help)" ;;
esac
