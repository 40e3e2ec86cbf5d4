# bash completion for flowspool(1), flowspoold(8) and flowspool-sandbox(1); bash 4.4 or later, nothing else
# needed. Jobs and workflows are those of the spool that the line names, asked for by what is typed of them.
# shellcheck shell=bash

# ---- the line ----

# Splits a line as the shell would: `words`, without quotes, the last of them being typed, and `cut`, how much
# of that the shell keeps by itself (it completes what is behind a : or =, from an @, in `quote`s). $NAME and ~
# are replaced, nothing is ever run.
_flowspool_split() {
    local line=$1 begun='' c i before=0
    local variable='^(\{([A-Za-z_][A-Za-z_0-9]*)\}|([A-Za-z_][A-Za-z_0-9]*))'
    words=('') cut=0 quote=''
    for ((i = 0; i < ${#line}; i++)); do
        c=${line:i:1}
        if [[ $quote == "'" && $c != "'" ]]; then
            words[-1]+=$c
        elif [[ -n $quote && $c == "$quote" ]]; then
            quote='' cut=$before
        elif [[ -z $quote && $c == [\'\"] ]]; then
            quote=$c before=$cut cut=${#words[-1]}
        elif [[ $c == \\ ]]; then
            i=$((i + 1))
            c=${line:i:1}
            [[ -z $quote || $c == [\\\"\$\`] ]] || words[-1]+=\\
            words[-1]+=$c
        elif [[ -z $quote && $c == [[:space:]] ]]; then
            [[ -z $begun ]] || words+=('')
            cut=0 begun=''
            continue
        elif [[ $c == \$ && ${line:i+1} =~ $variable ]]; then
            c=${BASH_REMATCH[2]}${BASH_REMATCH[3]}
            words[-1]+=${!c-}
            i=$((i + ${#BASH_REMATCH[0]}))
        elif [[ -z $begun && $c == \~ && ${line:i+1:1} == [/[:space:]] ]]; then
            words[-1]+=$HOME
        else
            words[-1]+=$c
            [[ -n $quote || $COMP_WORDBREAKS != *"$c"* ]] || cut=${#words[-1]}
            [[ -n $quote || $c != @ || $cut -eq 0 ]] || cut=$((cut - 1))
        fi
        begun=1
    done
}

# Goes through the words that are complete: the command and the spool that they name, and whether what is being
# typed is an operand, or the value of an option.
_flowspool_read() {
    local word
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ -n $option ]]; then
            [[ $option != --spool ]] || where+=("--spool=$word")
            [[ $option != -c && $option != --config ]] || where+=("--config=$word")
            option=''
        elif [[ -z $plain && $word == -?* ]]; then
            [[ $word != -- ]] || plain=1
            [[ $word != --force ]] || force=1
            [[ $word != --spool=* && $word != --config=* && $word != -c?* ]] || where+=("$word")
            [[ " $valued " != *" $word "* ]] || option=$word
        elif [[ -z $command ]]; then
            command=$word
        else
            operands=$((operands + 1))
        fi
    done
    if [[ -z $option && -z $plain && $cur == --*=* ]]; then
        option=${cur%%=*}
        head=$option=
        cur=${cur#*=}
    fi
}

# ---- what is offered ----

# Those that begin with what is typed.
_flowspool_offer() {
    local word
    for word in "$@"; do
        [[ $word != "$cur"* ]] || COMPREPLY+=("${head:cut}${word:cut > ${#head} ? cut - ${#head} : 0}")
    done
}

# What was offered may be any text: as it must stand on the line.
_flowspool_quote() {
    local i special
    for i in "${!COMPREPLY[@]}"; do
        case $quote in
        \') COMPREPLY[i]=${COMPREPLY[i]//\'/\'\\\'\'} ;;
        \")
            for special in \\ \" \$ \`; do
                COMPREPLY[i]=${COMPREPLY[i]//"$special"/\\"$special"}
            done
            ;;
        *) printf -v "COMPREPLY[i]" %q "${COMPREPLY[i]}" ;;
        esac
    done
}

# The shell's own: of names with spaces and line ends, too.
_flowspool_files() {
    compopt -o default 2>/dev/null
}

_flowspool_directories() {
    compopt -o dirnames 2>/dev/null
}

# _flowspool_jobs [OPTION OF list]...: also one directory down; where no job begins like this, files from here.
_flowspool_jobs() {
    local glob=$cur name found
    for name in \\ \* \? \[; do
        glob=${glob//"$name"/\\"$name"}
    done
    mapfile -d '' -t found < <(
        "$program" "${where[@]}" list -0 "$@" -- "$glob*" 2>/dev/null
        "$program" "${where[@]}" list -0 "$@" -- "$glob*/*" 2>/dev/null
    )
    for name in "${found[@]}"; do
        [[ $name == -* && -z $plain ]] || _flowspool_offer "$name"
    done
    if [[ ${#COMPREPLY[@]} -gt 0 ]]; then
        _flowspool_quote
    else
        _flowspool_files
    fi
}

# The workflows of those jobs; of very many jobs none, rather than a shell that hangs.
_flowspool_workflows() {
    local found
    mapfile -t found < <(timeout 2 "$program" "${where[@]}" list --json "$@" 2>/dev/null |
        grep -o '"workflow":"[A-Za-z0-9._-]*"' | sort -u | cut -d'"' -f4)
    _flowspool_offer "${found[@]}"
}

# Behind KEY=@ a file.
_flowspool_input() {
    local path=${cur#*=@} name
    [[ $cur == *=@* ]] || return 0
    for name in "$path"*; do
        [[ ! -d $name ]] || name+=/
        [[ ! -e $name ]] || _flowspool_offer "${cur%"$path"}$name"
    done
    [[ ${COMPREPLY[0]-} != */ ]] || compopt -o nospace 2>/dev/null
    _flowspool_quote
}

# The list option for the jobs that a command is meant for.
_flowspool_meant() {
    case $command in
    retry) [[ -n $force ]] || meant=(--state failed) ;;
    release) meant=(--state held) ;;
    esac
}

_flowspool_value() {
    case $option in
    --state) _flowspool_offer waiting later held missing in-flight "done" failed refused ;;
    --code)
        _flowspool_offer invalid_job missing_input workflow_not_found rejected server_error unreachable \
            invalid_response response_too_large expired cancelled ambiguous
        ;;
    --workflow) _flowspool_workflows "${meant[@]}" ;;
    --spool) _flowspool_directories ;;
    -c | --config | --api-key-file) _flowspool_files ;;
    --log-level) _flowspool_offer error warn info debug ;;
    --log-format) _flowspool_offer text json ;;
    --port-file | --tls-cert | --tls-key | --workflows | --key-file) _flowspool_files ;;
    --limiter) _flowspool_offer sliding fixed first log token none ;;
    --headers) _flowspool_offer success all none on-reply zero ;;
    --missing-input) _flowspool_offer undefined strict ;;
    --retry-after) _flowspool_offer exact exact,date ;;
    --latency) _flowspool_offer uniform: lognormal: ;;
    --fault)
        _flowspool_offer reset-before 503 redirect 401 429 402 404 500 502 504 reset-after cut garbage \
            not-http drip huge huge-chunked
        ;;
    esac
}

# ---- the commands ----

_flowspool_options() {
    _flowspool_offer --spool -c --config --help
    case $command in
    '') _flowspool_offer --version ;;
    submit)
        _flowspool_offer --name --priority --not-before --expires --max-attempts --run --wait --timeout
        ;;
    check) _flowspool_offer -r --recursive --quiet --json ;;
    status) _flowspool_offer --json --watch --interval ;;
    tune) _flowspool_offer --json ;;
    list) _flowspool_offer --state --workflow --json --names -0 --null ;;
    show) _flowspool_offer --json ;;
    explain) _flowspool_offer --json ;;
    log) _flowspool_offer --json ;;
    ledger) _flowspool_offer --since --json ;;
    wait) _flowspool_offer --timeout ;;
    retry) _flowspool_offer --failed --code --workflow --force ;;
    cancel) _flowspool_offer --all --workflow ;;
    hold) _flowspool_offer --all --workflow ;;
    release) _flowspool_offer --all --workflow ;;
    drain) _flowspool_offer --timeout ;;
    prune) _flowspool_offer --older-than --dry-run ;;
    esac
}

_flowspool_operand() {
    case $command in
    '')
        _flowspool_offer submit check status tune list show explain log ledger wait retry cancel hold release \
            pause resume drain prune
        ;;
    submit)
        if [[ $operands -eq 0 ]]; then
            _flowspool_workflows
        else
            _flowspool_input
        fi
        ;;
    check) _flowspool_files ;;
    list | show | explain | log | wait | retry | cancel | hold | release) _flowspool_jobs "${meant[@]}" ;;
    esac
}

_flowspool() {
    local words cut quote program cur head='' command='' option='' plain='' force='' operands=0 where=() meant=()
    local valued="--spool -c --config --state --workflow --code --name --priority --not-before --expires"
    valued+=" --max-attempts --run --timeout --interval --older-than --since"
    COMPREPLY=()
    _flowspool_split "${COMP_LINE:0:COMP_POINT}"
    program=${words[0]} cur=${words[-1]}
    _flowspool_read
    _flowspool_meant
    if [[ -n $option ]]; then
        _flowspool_value
    elif [[ -z $plain && $cur == -* ]]; then
        _flowspool_options
    else
        _flowspool_operand
    fi
}

# _flowspool_program VALUED FLAG: a program that has options only; each a list of them.
_flowspool_program() {
    local words cut quote cur head='' command='' option='' plain='' force='' operands=0 where=() meant=()
    local valued=$1 flags=$2
    COMPREPLY=()
    _flowspool_split "${COMP_LINE:0:COMP_POINT}"
    cur=${words[-1]}
    _flowspool_read
    if [[ -n $option ]]; then
        _flowspool_value
    else
        # shellcheck disable=SC2086 # each is a word
        _flowspool_offer $valued $flags
    fi
}

_flowspoold() {
    local valued="-c --config --spool --endpoint --api-key-file --max-concurrency --max-jobs --log-level --log-format"
    _flowspool_program "$valued" "--once --check-config --describe-config --help --version"
}

_flowspool_sandbox() {
    local valued="--listen --port --port-file --max-connections --tls-cert --tls-key --workflows --key --key-file"
    valued+=" --credits --limiter --limit --window --headers --retry-after --latency --seed --fault --missing-input"
    _flowspool_program "$valued" "--any-workflow --cache --run-id --verbose --help --version"
}

complete -F _flowspool flowspool
complete -F _flowspoold flowspoold
complete -F _flowspool_sandbox flowspool-sandbox
