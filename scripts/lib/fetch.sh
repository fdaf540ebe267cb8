# Shared by the scripts that fetch a C++ library: a wheel from PyPI, checked and unpacked once. Sourced after common.sh, not run.
# shellcheck shell=bash

# Get the parts of a wheel that C++ needs into a folder of OCRNET_CACHE, unless it is there, and print that folder. Needs of the caller:
#   LIBRARY   what it is called; its SIZE to download and its SIZE_UNPACKED, for messages
#   PACKAGE   on PyPI, its VERSION and SHA256
#   TAGS      of the one wheel, whatever Python is here: arguments of pip download
#   INSIDE    the folder inside the wheel, of which PARTS are unpacked; a whole folder has the files PROOF
#   VARIABLE  of the environment, which names another folder
fetch_wheel() {
  local cache home python wheel found
  cache="$(realpath -m -- "${OCRNET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ocrnet}")"
  home="$cache/$INSIDE-$VERSION"
  if is_whole "$home"; then
    printf '%s\n' "$home"
    return
  fi
  [ ! -e "$home" ] || fail "$home exists but lacks ${PARTS[0]} or ${PARTS[1]}; remove it and call again"
  [ "$(uname -sm)" = "Linux x86_64" ] \
    || fail "this is $(uname -sm), and the wheel is for Linux x86_64 alone; set $VARIABLE to an unpacked $LIBRARY for this machine"

  python="$(find_python)"
  mkdir -p -- "$cache" || fail "$cache cannot be made; set OCRNET_CACHE to a folder that can be written to"
  # Everything happens in a folder of its own, renamed at the end: the home is whole or absent, whoever else fetches meanwhile.
  work="$(mktemp -d -- "$cache/.fetch.XXXXXX")" || fail "$cache cannot be written to; set OCRNET_CACHE"
  trap 'rm -rf -- "$work"' EXIT
  say "downloading $LIBRARY $VERSION ($SIZE) into $cache" >&2
  "$python" -m pip download --quiet --disable-pip-version-check "$PACKAGE==$VERSION" --no-deps --only-binary=:all: "${TAGS[@]}" \
    --dest "$work" >&2 || fail "pip could not download $PACKAGE==$VERSION; its message is above"
  wheel="$(find "$work" -name '*.whl')"
  found="$(sha256sum -- "$wheel" | cut -d' ' -f1)"
  [ "$found" = "$SHA256" ] || fail "the download is damaged: its SHA-256 is $found, expected $SHA256; call again"
  unpack "$python" "$wheel" "$work" || fail "the wheel cannot be unpacked into $cache; is there $SIZE_UNPACKED of space?"
  # A rename fails where another call was faster; its result is as good.
  mv -T -- "$work/$INSIDE" "$home" 2>/dev/null || is_whole "$home" || fail "$home cannot be written"
  printf '%s\n' "$home"
}

# Tell whether a folder has what it must have. $1: the folder.
is_whole() {
  local file
  for file in "${PROOF[@]}"; do [ -f "$1/$file" ] || return 1; done
}

# $1: interpreter. $2: wheel. $3: folder.
unpack() {
  "$1" - "$2" "$3" "${PARTS[@]/#/$INSIDE/}" <<'PYTHON'
import sys, zipfile

with zipfile.ZipFile(sys.argv[1]) as wheel:
    wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.startswith(tuple(sys.argv[3:]))])
PYTHON
}
