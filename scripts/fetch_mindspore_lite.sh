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

VERSION=2.0.0
SHA256=199cd0605cc985b88eddb273db9dfe9000a585ba10ca2292b6b36ebfff07b3ec

case "${1:-}" in
  -h | --help) print_help "$0"; exit 0 ;;
  "") ;;
  *) fail "unknown argument '$1' (see --help)" ;;
esac

is_whole() { [ -f "$1/include/api/model.h" ] && [ -f "$1/lib/libmindspore-extendrt_python.so" ]; }

cache="$(realpath -m -- "${OCRNET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ocrnet}")"
home="$cache/mindspore_lite-$VERSION"
if is_whole "$home"; then
  printf '%s\n' "$home"
  exit 0
fi
[ ! -e "$home" ] || fail "$home exists but lacks include/ or lib/; remove it and call again"
[ "$(uname -sm)" = "Linux x86_64" ] \
  || fail "this is $(uname -sm), and the wheel is for Linux x86_64 alone; set MS_LITE_HOME to an unpacked MindSpore Lite for this machine"

python="$(find_python)"
mkdir -p -- "$cache" || fail "$cache cannot be made; set OCRNET_CACHE to a folder that can be written to"
# Everything happens in a folder of its own, renamed at the end: the home is whole or absent, whoever else fetches meanwhile.
work="$(mktemp -d -- "$cache/.fetch.XXXXXX")" || fail "$cache cannot be written to; set OCRNET_CACHE"
trap 'rm -rf -- "$work"' EXIT
say "downloading MindSpore Lite $VERSION (168 MB) into $cache" >&2
"$python" -m pip download --quiet --disable-pip-version-check "mindspore-lite==$VERSION" --no-deps --only-binary=:all: --python-version 3.7 \
  --implementation cp --platform manylinux1_x86_64 --dest "$work" >&2 || fail "pip could not download mindspore-lite==$VERSION; its message is above"
wheel="$(find "$work" -name '*.whl')"
found="$(sha256sum -- "$wheel" | cut -d' ' -f1)"
[ "$found" = "$SHA256" ] || fail "the download is damaged: its SHA-256 is $found, expected $SHA256; call again"
"$python" - "$wheel" "$work" <<'PYTHON' || fail "the wheel cannot be unpacked into $cache; is there 0.5 GB of space?"
import sys, zipfile

with zipfile.ZipFile(sys.argv[1]) as wheel:
    wanted = tuple(f"mindspore_lite/{part}" for part in ("include/", "lib/", "version.py"))
    wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.startswith(wanted)])
PYTHON
# A rename fails where another call was faster; its result is as good.
mv -T -- "$work/mindspore_lite" "$home" 2>/dev/null || is_whole "$home" || fail "$home cannot be written"
printf '%s\n' "$home"
