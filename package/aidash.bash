# Bash completion of aidash. `aidash --help` names the options and the kinds of their values.

_aidash()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} help value= words= command=

    if [[ $cur == = ]]; then # bash takes --key=value for three words
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    [[ ${COMP_WORDS[1]} != bench || $COMP_CWORD -eq 1 ]] || command=bench
    help=$("$1" $command --help 2>/dev/null)
    [[ $prev != --* ]] || value=$(sed -n "s/^  $prev \([^ ]\{1,\}\) .*/\1/p" <<<"$help")
    case $prev/$value in
    --*/FILE)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --*/LEVEL) words='error warn info debug' ;;
    --*/*'|'*) words=${value//|/ } ;;
    --*/?*) ;; # free text
    *)
        words=$(sed -n 's/^  \(--[a-z-]*\).*/\1/p' <<<"$help")
        [[ $COMP_CWORD -gt 1 ]] || words+=' doctor bench'
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _aidash aidash
