"""``pod completion bash|zsh|fish``: the script that makes a shell ask ``pod __complete`` (cli/complete.py).

The scripts know nothing of commands: they hand over the words up to the cursor, and show what comes back. They run the
program by the word that was typed (``./pod.pyz``, ``/opt/bin/pod``), so that each build completes for itself.
"""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "completion",
    "SHELL",
    "Print the script that teaches a shell (bash, zsh or fish) to complete pod's command lines",
    min_args=1,
    max_args=1,
)

# bash cuts words at ":" and "=" too (COMP_WORDBREAKS): they are joined again before pod is asked, and what stands
# before the last of these characters is taken off the answers, for bash replaces only what comes after it.
_BASH = r"""# pod completion for bash: source <(pod completion bash), or keep it as
# ~/.local/share/bash-completion/completions/pod
_pod() {
    local line=${COMP_LINE:0:COMP_POINT} word space head answer i
    local -a words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        space=${line%%[![:space:]]*}
        line=${line#"$space"}
        word=${COMP_WORDS[i]}
        if ((i == COMP_CWORD)); then word=$line; fi
        line=${line#"$word"}
        if [[ $i -gt 0 && -z $space ]]; then
            words[${#words[@]}-1]+=$word
        else
            words+=("$word")
        fi
    done
    COMPREPLY=()
    word=${words[${#words[@]}-1]}
    while IFS= read -r answer; do
        answer=${answer%%$'\t'*}
        if [[ $answer == :files ]]; then
            compopt -o default
            return
        fi
        COMPREPLY+=("$answer")
    done < <("${words[0]/#\~/$HOME}" __complete -- "${words[@]:1}" 2>/dev/null)
    head=
    if [[ $COMP_WORDBREAKS == *:* && $word == *:* ]]; then head=${word%"${word##*:}"}; fi
    if [[ $COMP_WORDBREAKS == *=* && $word == *=* ]]; then
        space=${word%"${word##*=}"}
        if ((${#space} > ${#head})); then head=$space; fi
    fi
    for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"$head"}; done
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[:=] ]]; then compopt -o nospace; fi
}
complete -F _pod pod pod.pyz
"""

_ZSH = r"""#compdef pod pod.pyz
# pod completion for zsh: source <(pod completion zsh) after compinit, or keep it as _pod in a folder of $fpath.
_pod() {
    local answer name
    local -a values shown open opened
    while IFS= read -r answer; do
        if [[ $answer == :files ]]; then
            _files
            return
        fi
        name=${answer%%$'\t'*}
        if [[ $name == *[:=] ]]; then
            open+=("$name"); opened+=("$name")
        elif [[ $answer == *$'\t'* ]]; then
            values+=("$name"); shown+=("$name  -- ${answer#*$'\t'}")
        else
            values+=("$name"); shown+=("$name")
        fi
    done < <("${(Q)words[1]/#\~/$HOME}" __complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    local found=1
    if (( ${#values} )); then compadd -l -d shown -a values && found=0; fi
    if (( ${#open} )); then compadd -S '' -a open && found=0; fi
    return found
}
if [[ ${funcstack[1]} == _pod ]]; then
    _pod "$@"
else
    compdef _pod pod pod.pyz
fi
"""

_FISH = r"""# pod completion for fish: pod completion fish | source, or keep it as ~/.config/fish/completions/pod.fish
function __pod_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l answers (eval (string escape -- $words[1]) __complete -- (string escape -- $words[2..-1]) (string escape -- "$current") 2>/dev/null)
    if test "$answers[1]" = ":files"
        __fish_complete_path "$current"
    else
        string join \n -- $answers
    end
end
complete -c pod -f -a '(__pod_complete)'
complete -c pod.pyz -f -a '(__pod_complete)'
"""  # noqa: E501 - a line of fish cannot be broken there

_SCRIPTS = {"bash": _BASH, "fish": _FISH, "zsh": _ZSH}


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output

    script = _SCRIPTS.get(options.args[0])
    if script is None:
        error = UsageError(f"unknown shell: {options.args[0]}", hint="bash, fish or zsh")
        error.exit_code = 1
        raise error
    output.write(script)
    return 0
