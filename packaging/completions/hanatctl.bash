# Bash completion for hanatctl. Not here: what can stand where, which hanatctl knows best (hanatctl complete).
# shellcheck shell=bash

_hanatctl() {
  mapfile -t COMPREPLY < <(hanatctl complete bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  [[ ${COMPREPLY[0]-} == :file ]] || return 0
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]#=}")
}

complete -F _hanatctl hanatctl
