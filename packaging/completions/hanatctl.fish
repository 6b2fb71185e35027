# Fish completion for hanatctl. Not here: what can stand where, which hanatctl knows best (hanatctl complete).

function __hanatctl_complete
    set -l current (commandline -ct)
    set -l words (commandline -opc)
    set -l lines (hanatctl complete fish $words[2..-1] "$current" 2>/dev/null)
    if test "$lines[1]" = :file
        __fish_complete_path (string replace -r -- '^--[a-z-]+=' '' "$current")
    else
        printf '%s\n' $lines
    end
end

complete -c hanatctl -f -a '(__hanatctl_complete)'
