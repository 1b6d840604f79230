# Bash completion of aidash. `aidash --help` names the options and the kinds of their values.

_aidash()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} help value= words= command=

    if [[ $cur == = ]]; then # bash takes --key=value for three words
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $COMP_CWORD/${COMP_WORDS[1]} in
    1/*) ;;
    */bench | */keys | */pair | */token | */top) command=${COMP_WORDS[1]} ;;
    esac
    help=$("$1" $command --help 2>/dev/null)
    [[ $prev != --* ]] || value=$(sed -n "s/^  $prev \([^ ]\{1,\}\) .*/\1/p" <<<"$help")
    case $prev/$value in
    --*/FILE)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --*/WHO) words='open remote-key key local' ;;
    --*/LEVEL) words='error warn info debug' ;;
    --*/*'|'*) words=${value//|/ } ;;
    --*/?*) ;; # free text
    *)
        words=$(sed -n 's/^  \(--[a-z-]*\).*/\1/p' <<<"$help")
        [[ $COMP_CWORD -gt 1 ]] || words+=' alert doctor bench keys pair token top'
        [[ $COMP_CWORD/${COMP_WORDS[1]} != 2/alert ]] || words+=' test'
        [[ $COMP_CWORD-$command != 2-keys ]] || words+=' add revoke rename'
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _aidash aidash
