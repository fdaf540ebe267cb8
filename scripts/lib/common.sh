# Shared by the scripts: the project's root, messages, --help, the virtual environment. Sourced, not run.
# shellcheck shell=bash

ROOT="$(cd -- "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/../.." && pwd)"
VENV="$(realpath -m -- "${OCRNET_VENV:-$ROOT/.venv}")"
# Absolute for the scripts that are called from another folder.
export OCRNET_VENV="$VENV"
[ -z "${MS_LITE_HOME:-}" ] || MS_LITE_HOME="$(realpath -m -- "$MS_LITE_HOME")"
[ -z "${OPENVINO_HOME:-}" ] || OPENVINO_HOME="$(realpath -m -- "$OPENVINO_HOME")"
[ -z "${OCRNET_CACHE:-}" ] || OCRNET_CACHE="$(realpath -m -- "$OCRNET_CACHE")"

say() { printf '==> %s\n' "$*"; }

# Print one line on stderr and leave with status 2: the user must change something.
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 2
}

# Print the comment block at the head of a script.
print_help() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1"; }

# Install a requirements file without dependencies into a folder of its own, unless that was done since the file changed.
# $1: requirements file in the project's root. $2: folder; what it holds is replaced.
install_aside() {
  local requirements="$ROOT/$1" folder="$2"
  cmp -s "$requirements" "$folder/.installed" && return
  say "installing $1 into $folder"
  [ ! -e "$folder" ] || [ -e "$folder/.installed" ] || [ -e "$folder/.installing" ] || fail "$folder holds other things; name another folder"
  rm -rf -- "$folder"
  mkdir -p -- "$folder"
  touch -- "$folder/.installing"
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder" -r "$requirements" \
    || fail "$1 cannot be installed"
  cp -- "$requirements" "$folder/.installed"
}

# Make the virtual environment and install a requirements file, unless that was done since the file changed.
# $1: requirements file in the project's root.
prepare_venv() {
  local requirements="$ROOT/$1" stamp="$VENV/.installed-$1" python="${PYTHON:-python3}"
  if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    command -v "$python" >/dev/null || fail "no $python found; install Python 3.11 or set PYTHON"
    "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 12))' \
      || fail "$("$python" --version) cannot run mindspore 2.8.0; install Python 3.10 or 3.11 and set PYTHON"
    say "making the virtual environment $VENV"
    "$python" -m venv --clear "$VENV" || fail "$python cannot make a virtual environment (on Debian: apt-get install python3-venv)"
  fi
  if ! cat "$ROOT"/requirements*.txt | cmp -s - "$stamp"; then
    say "installing $1"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
    cat "$ROOT"/requirements*.txt >"$stamp"
  fi
}

# Print the interpreter to use: the virtual environment's where there is one, else python3.
find_python() {
  if [ -x "$VENV/bin/python" ]; then
    printf '%s\n' "$VENV/bin/python"
  else
    command -v python3 || fail "neither $VENV/bin/python nor python3 found; run scripts/quickstart.sh once, or set OCRNET_VENV"
  fi
}

# Tell whether an interpreter has packages; importing them would take seconds. $1: the interpreter. The rest: the packages.
has_packages() {
  "$1" -c 'import importlib.util, sys; sys.exit(any(importlib.util.find_spec(name) is None for name in sys.argv[1:]))' "${@:2}"
}

# Leave when an interpreter lacks packages. $1: the interpreter. The rest: the packages.
require_packages() {
  has_packages "$@" \
    || fail "$1 lacks packages of requirements.txt; set OCRNET_VENV to an environment that has them (scripts/quickstart.sh makes one)"
}

# Print what building C++ lacks here, or nothing.
missing_for_cpp() {
  command -v cmake >/dev/null || { echo "cmake"; return; }
  command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || { echo "a C++ compiler"; return; }
  command -v make >/dev/null || command -v ninja >/dev/null || echo "make or ninja"
}
