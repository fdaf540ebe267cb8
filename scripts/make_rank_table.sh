#!/usr/bin/env bash
# Summary: write the HCCL rank table that scripts/run_distribute_train.sh takes: of this host's Ascend devices, or of several hosts' tables.
#
# Usage: bash scripts/make_rank_table.sh DEVICES [SERVER_ID] [OUTPUT]
#        bash scripts/make_rank_table.sh --merge TABLE ... OUTPUT
#   DEVICES    the devices, in any number: 0-7, 0,2,5 or "[0,8)" (0 to 7)
#   SERVER_ID  address of this host in the table; none: find it (default)
#   OUTPUT     file to write (default: rank_table.json); one that says something else already is refused
#   --merge    join the tables of several hosts, in which every host is then started with the result; ranks are counted in this order
#
# Environment:
#   DEVICE_IPS   addresses of the devices' network ports, with commas (default: those in /etc/hccn.conf)
#   OCRNET_VENV  virtual environment whose Python is used where there is one (default: .venv), else python3
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/lib/common.sh"

case "${1:-}" in
  -h | --help) print_help "$0"; exit 0 ;;
  --merge)
    [ $# -ge 4 ] || fail "expected --merge TABLE TABLE ... OUTPUT (see --help)"
    command=(merge "${@:2:$#-2}" --output "${!#}")
    ;;
  *)
    [ $# -ge 1 ] && [ $# -le 3 ] || fail "expected DEVICES [SERVER_ID] [OUTPUT], got $# arguments (see --help)"
    [[ "$1" != -* ]] || fail "unknown option '$1' (see --help)"
    command=(make --devices "$1" --output "${3:-rank_table.json}")
    [ -z "${2:-}" ] || [ "${2,,}" = none ] || command+=(--server_id "$2")
    [ -z "${DEVICE_IPS:-}" ] || command+=(--device_ips "$DEVICE_IPS")
    ;;
esac
command=("$(find_python)" -m src.launch.rank_table "${command[@]}")
say "starting:$(printf ' %q' "${command[@]}")"
PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" PYTHONSAFEPATH=1 exec "${command[@]}"
