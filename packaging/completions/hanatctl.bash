# Bash completion for hanatctl: commands, the options of each command, service names from the running daemon.
# Not here: the commands themselves, which are in cli/arguments.cpp; a unit test checks that this file has them all.
# shellcheck shell=bash

_hanatctl_services() {
  # Only services have a key "name" in the status. Without an answer from the daemon there are no completions.
  hanatctl --json status 2>/dev/null | sed -n 's/^      "name": "\([A-Za-z0-9_.-]*\)",\{0,1\}$/\1/p'
}

_hanatctl() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local commands="status top force-backup force-primary auto disable enable reload confirm settled history events why plan probe connections doctor metrics check import version help"
  local common="--socket --json -j --color --help --version"
  local command="" i options
  COMPREPLY=()

  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --socket | --for | --reason | --server | --color | --number | -n | --since | --until | --at | --list | --drain | --confirm | --address) ((i++)) ;;
      -*) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done

  case $previous in
    --socket) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --drain) mapfile -t COMPREPLY < <(compgen -W "30s 60s 5m 10m 1h" -- "$current"); return ;;
    --confirm) mapfile -t COMPREPLY < <(compgen -W "30s 60s 5m" -- "$current"); return ;;
    --for) mapfile -t COMPREPLY < <(compgen -W "5m 15m 30m 1h 4h" -- "$current"); return ;;
    --server) mapfile -t COMPREPLY < <(compgen -W "backup backup2 backup3" -- "$current"); return ;;
    --color) mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$current"); return ;;
    --since | --until | --at) mapfile -t COMPREPLY < <(compgen -W "10m 1h 24h" -- "$current"); return ;;
    --reason | --number | -n | --list | --address) return ;;
  esac

  case $command in
    force-backup) options="--all --for --until-down --reason --server --even-if-down --drain --reset --wait" ;;
    force-primary) options="--all --for --until-down --reason --even-if-down --drain --reset --wait" ;;
    auto) options="--all --drain --reset --wait" ;;
    disable) options="--for --reason --drain --reset --wait --yes" ;;
    enable) options="--drain --reset --wait" ;;
    "" | status) options="--all --watch --check" ;;
    history | events) options="--number --since --until --follow" ;;
    why) options="--at" ;;
    connections) options="--list" ;;
    reload) options="--confirm" ;;
    check) options="--ask" ;;
    import) options="--address" ;;
    *) options="" ;;
  esac
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options $common" -- "$current")
    return
  fi
  case $command in
    "") mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current") ;;
    status | history | events | why | probe | connections | doctor | force-backup | force-primary | auto)
      mapfile -t COMPREPLY < <(compgen -W "$(_hanatctl_services)" -- "$current")
      ;;
    disable | enable)
      # the service, then the server; where there is one service the server alone
      mapfile -t COMPREPLY < <(compgen -W "$(_hanatctl_services) primary backup backup2 backup3" -- "$current")
      ;;
    import)
      if [[ $previous == import ]]; then
        mapfile -t COMPREPLY < <(compgen -W "keepalived haproxy iptables" -- "$current")
      else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
      fi
      ;;
    check | plan) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    help) mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current") ;;
  esac
}

complete -F _hanatctl hanatctl
