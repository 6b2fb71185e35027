# shellcheck shell=bash
# Checks of a script whose output is lines "ok TEXT" and "FAILED TEXT": sourced by page.sh, top.sh and package/container.sh.
# Not here: tests/package/scenes.sh, which runs elsewhere and has its own.

failures=0
ok() { printf 'ok %s\n' "$1"; }
failed() { # TEXT DETAIL
  failures=$((failures + 1))
  printf 'FAILED %s\n%s\n' "$1" "${2-}" | head -n 60
}
within() { # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.05
  done
}
