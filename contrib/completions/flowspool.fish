# fish completion for flowspool(1), flowspoold(8) and flowspool-sandbox(1). Jobs and workflows are those of the
# spool that the line names, asked for by what is typed of them.

complete -c flowspool -e
complete -c flowspoold -e
complete -c flowspool-sandbox -e

# ---- the line ----

set -g __flowspool_commands submit check status tune list show explain log ledger wait retry cancel hold release \
    pause resume drain prune

# Whether one of these commands is on the line; without any, whether none is.
function __flowspool_using
    set -l before
    for word in (commandline -opc)[2..]
        if not contains -- "$before" --spool -c --config; and contains -- $word $__flowspool_commands
            contains -- $word $argv
            return
        end
        set before $word
    end
    test (count $argv) -eq 0
end

function __flowspool_has
    contains -- $argv[1] (commandline -opc)
end

# The path that a word stands for: without its quotes, with its ~ and its variable, and nothing run.
function __flowspool_path
    set -l word $argv[1]
    if string match -qr '^\$(?<name>[A-Za-z_][A-Za-z_0-9]*)(?<rest>.*)$' -- $word
        echo -n -- "$$name"(string unescape -- $rest)
    else
        string replace -r '^~(?=/|$)' -- $HOME $word | string unescape
    end
end

# The spool and the configuration that the line names, as options.
function __flowspool_where
    set -l before
    for word in (commandline -opc)[2..]
        switch $before
            case --spool --config
                echo -- $before=(__flowspool_path $word)
            case -c
                echo -- --config=(__flowspool_path $word)
        end
        switch $word
            case '--spool=*' '--config=*'
                echo -- (string replace -r '=.*' '' -- $word)=(__flowspool_path (string replace -r '^[^=]*=' '' -- $word))
            case '-c?*'
                echo -- --config=(__flowspool_path (string sub -s 3 -- $word))
        end
        set before $word
    end
end

function __flowspool_program
    set -l program (__flowspool_path (commandline -opc)[1])
    command $program (__flowspool_where) $argv 2>/dev/null
end

# ---- what is offered ----

# __flowspool_jobs [OPTION OF list]...: also one directory down. Names that fish cannot be given, with a line's end
# or a tab, are left out.
function __flowspool_jobs
    set -l typed (string unescape -- (commandline -ct); or commandline -ct)
    set -l glob (string replace -ar '([\\\\*?[])' '\\\\\\\\$1' -- $typed)
    set -l found (__flowspool_program list -0 $argv -- "$glob*" | string split0)
    set -a found (__flowspool_program list -0 $argv -- "$glob*/*" | string split0)
    string match -rv '[\n\t]|^-' -- $found
end

function __flowspool_failed
    if __flowspool_has --force
        __flowspool_jobs
    else
        __flowspool_jobs --state failed
    end
end

# The workflows of those jobs; of very many jobs none, rather than a shell that hangs.
function __flowspool_workflows
    set -l program (__flowspool_path (commandline -opc)[1])
    timeout 2 $program (__flowspool_where) list --json $argv 2>/dev/null |
        string match -r '"workflow":"[A-Za-z0-9._-]*"' | string replace -r '.*:"(.*)"' '$1' | sort -u
end

# ---- flowspool ----

complete -c flowspool -l spool -x -a '(__fish_complete_directories)' -d 'The spool'
complete -c flowspool -s c -l config -r -F -d "The daemon's configuration"
complete -c flowspool -l help -f -d 'A summary'
complete -c flowspool -n __flowspool_using -l version -f -d 'The version'

complete -c flowspool -f
complete -c flowspool -n __flowspool_using -a submit -d 'Puts a job into the spool'
complete -c flowspool -n __flowspool_using -a check -d 'Finds what is wrong with job files'
complete -c flowspool -n __flowspool_using -a status -d 'The daemon, the jobs, the rate'
complete -c flowspool -n __flowspool_using -a tune -d 'What was learned about the rate limit'
complete -c flowspool -n __flowspool_using -a list -d 'The jobs, one a line'
complete -c flowspool -n __flowspool_using -a show -d 'All about a job, and its attempts'
complete -c flowspool -n __flowspool_using -a explain -d 'Why a job is not running now'
complete -c flowspool -n __flowspool_using -a log -d 'What happened to jobs'
complete -c flowspool -n __flowspool_using -a ledger -d 'What was bought, refused, saved'
complete -c flowspool -n __flowspool_using -a wait -d 'Until jobs have ended'
complete -c flowspool -n __flowspool_using -a retry -d 'Runs failed jobs again'
complete -c flowspool -n __flowspool_using -a cancel -d 'Fails waiting jobs'
complete -c flowspool -n __flowspool_using -a hold -d 'Sends these jobs not before release'
complete -c flowspool -n __flowspool_using -a release -d 'Lets held jobs go'
complete -c flowspool -n __flowspool_using -a pause -d 'Sends nothing new until resume'
complete -c flowspool -n __flowspool_using -a resume -d 'Sends again'
complete -c flowspool -n __flowspool_using -a drain -d 'Pauses, waits until nothing is in flight'
complete -c flowspool -n __flowspool_using -a prune -d 'Removes superseded results'

complete -c flowspool -n '__flowspool_using submit' -l name -x -d 'The name of the job file'
complete -c flowspool -n '__flowspool_using submit' -l priority -x -d '-100 to 100, higher goes first'
complete -c flowspool -n '__flowspool_using submit' -l not-before -x -d 'A time, or a duration from now'
complete -c flowspool -n '__flowspool_using submit' -l expires -x -d 'A time, or a duration from now'
complete -c flowspool -n '__flowspool_using submit' -l max-attempts -x -d '1 to 1000'
complete -c flowspool -n '__flowspool_using submit' -l run -x -d 'Another value is another job'
complete -c flowspool -n '__flowspool_using submit' -l wait -f -d 'Wait, and print the result'
complete -c flowspool -n '__flowspool_using submit' -l timeout -x -d 'Wait at most so long'
complete -c flowspool -n '__flowspool_using submit' -a '(__flowspool_workflows)' -d Workflow

complete -c flowspool -n '__flowspool_using check' -s r -l recursive -f -d 'Directories below, too'
complete -c flowspool -n '__flowspool_using check' -l quiet -f -d 'Only what is wrong'
complete -c flowspool -n '__flowspool_using check' -l json -f -d 'One JSON object'
complete -c flowspool -n '__flowspool_using check' -F

complete -c flowspool -n '__flowspool_using status' -l json -f -d 'One JSON object'
complete -c flowspool -n '__flowspool_using status' -l watch -f -d 'Again and again in place'
complete -c flowspool -n '__flowspool_using status' -l interval -x -d 'How often'

complete -c flowspool -n '__flowspool_using tune' -l json -f -d 'One JSON object'

complete -c flowspool -n '__flowspool_using list' -l state -x -d 'Only these' \
    -a 'waiting later held missing in-flight done failed refused'
complete -c flowspool -n '__flowspool_using list' -l workflow -x -a '(__flowspool_workflows)' -d 'Only this workflow'
complete -c flowspool -n '__flowspool_using list' -l json -f -d 'One JSON object a line'
complete -c flowspool -n '__flowspool_using list' -l names -f -d 'Nothing but the paths'
complete -c flowspool -n '__flowspool_using list' -s 0 -l null -f -d 'A NUL behind each path'
complete -c flowspool -n '__flowspool_using list' -a '(__flowspool_jobs)'

complete -c flowspool -n '__flowspool_using show' -l json -f -d 'One JSON object a line'
complete -c flowspool -n '__flowspool_using show' -a '(__flowspool_jobs)'

complete -c flowspool -n '__flowspool_using explain' -l json -f -d 'One JSON object a line'
complete -c flowspool -n '__flowspool_using explain' -a '(__flowspool_jobs)'

complete -c flowspool -n '__flowspool_using log' -l json -f -d 'One JSON object a line'
complete -c flowspool -n '__flowspool_using log' -a '(__flowspool_jobs)'
complete -c flowspool -n '__flowspool_using ledger' -l since -x -d 'What happened since'
complete -c flowspool -n '__flowspool_using ledger' -l json -f -d 'One JSON object'

complete -c flowspool -n '__flowspool_using wait' -l timeout -x -d 'At most so long'
complete -c flowspool -n '__flowspool_using wait' -a '(__flowspool_jobs)'

complete -c flowspool -n '__flowspool_using retry' -l failed -f -d 'Every job that failed'
complete -c flowspool -n '__flowspool_using retry' -l code -x -d 'Only those with this code' \
    -a 'invalid_job missing_input workflow_not_found rejected server_error unreachable invalid_response response_too_large expired cancelled ambiguous'
complete -c flowspool -n '__flowspool_using retry' -l workflow -x -a '(__flowspool_workflows --state failed)' -d 'Only this workflow'
complete -c flowspool -n '__flowspool_using retry' -l force -f -d 'Also jobs that have a result'
complete -c flowspool -n '__flowspool_using retry' -a '(__flowspool_failed)'

complete -c flowspool -n '__flowspool_using cancel' -l all -f -d 'Every job that has not ended'
complete -c flowspool -n '__flowspool_using cancel' -l workflow -x -a '(__flowspool_workflows)' -d 'Only this workflow'
complete -c flowspool -n '__flowspool_using cancel' -a '(__flowspool_jobs)'

complete -c flowspool -n '__flowspool_using hold' -l all -f -d 'Every job that has not ended'
complete -c flowspool -n '__flowspool_using hold' -l workflow -x -a '(__flowspool_workflows)' -d 'Only this workflow'
complete -c flowspool -n '__flowspool_using hold' -a '(__flowspool_jobs)'

complete -c flowspool -n '__flowspool_using release' -l all -f -d 'Every job that is held'
complete -c flowspool -n '__flowspool_using release' -l workflow -x -a '(__flowspool_workflows --state held)' -d 'Only this workflow'
complete -c flowspool -n '__flowspool_using release' -a '(__flowspool_jobs --state held)'

complete -c flowspool -n '__flowspool_using drain' -l timeout -x -d 'Wait no longer'

complete -c flowspool -n '__flowspool_using prune' -l older-than -x -d 'Only what was written so long ago'
complete -c flowspool -n '__flowspool_using prune' -l dry-run -f -d 'Say how much it would be'

# ---- flowspoold ----

complete -c flowspoold -f
complete -c flowspoold -s c -l config -r -F -d Configuration
complete -c flowspoold -l spool -x -a '(__fish_complete_directories)' -d 'Directory to watch'
complete -c flowspoold -l endpoint -x -d 'The service'
complete -c flowspoold -l api-key-file -r -F -d 'The key'
complete -c flowspoold -l max-concurrency -x -d 'Most requests in flight'
complete -c flowspoold -l max-jobs -x -d 'Most runs this start may buy'
complete -c flowspoold -l once -f -d 'Work until nothing is runnable, then exit'
complete -c flowspoold -l log-level -x -a 'error warn info debug' -d 'What is logged'
complete -c flowspoold -l log-format -x -a 'text json' -d 'How it is logged'
complete -c flowspoold -l check-config -f -d 'Check configuration and key, then exit'
complete -c flowspoold -l describe-config -f -d 'List every key'
complete -c flowspoold -l help -f -d 'A summary'
complete -c flowspoold -l version -f -d 'The version'

# ---- flowspool-sandbox ----

complete -c flowspool-sandbox -f
complete -c flowspool-sandbox -l listen -x -d 'Numeric address'
complete -c flowspool-sandbox -l port -x -d '0 is any that is free'
complete -c flowspool-sandbox -l port-file -r -F -d 'Write the port there'
complete -c flowspool-sandbox -l max-connections -x -d 'Most connections'
complete -c flowspool-sandbox -l tls-cert -r -F -d 'Serve https'
complete -c flowspool-sandbox -l tls-key -r -F -d 'Its key'
complete -c flowspool-sandbox -l workflows -r -F -d 'Which ids there are'
complete -c flowspool-sandbox -l any-workflow -f -d 'Other ids answer with their inputs'
complete -c flowspool-sandbox -l key -x -d 'An accepted key'
complete -c flowspool-sandbox -l key-file -r -F -d 'Accepted keys'
complete -c flowspool-sandbox -l credits -x -d 'Runs the account can pay for'
complete -c flowspool-sandbox -l limiter -x -a 'sliding fixed first log token none' -d 'How requests are counted'
complete -c flowspool-sandbox -l limit -x -d 'Requests in a window'
complete -c flowspool-sandbox -l window -x -d 'Its length'
complete -c flowspool-sandbox -l headers -x -a 'success all none on-reply zero' -d 'Which replies have rate headers'
complete -c flowspool-sandbox -l retry-after -x -a 'exact exact,date' -d 'With a 429'
complete -c flowspool-sandbox -l latency -x -a 'uniform: lognormal:' -d 'How long an answer takes'
complete -c flowspool-sandbox -l seed -x -d 'Draw the same again'
complete -c flowspool-sandbox -l fault -x -d 'KIND[:ARG][:RATE]' \
    -a 'reset-before 503 redirect 401 429 402 404 500 502 504 reset-after cut garbage not-http drip huge huge-chunked'
complete -c flowspool-sandbox -l missing-input -x -a 'undefined strict' -d 'What a missing input is'
complete -c flowspool-sandbox -l cache -f -d 'The same bytes again are free'
complete -c flowspool-sandbox -l run-id -f -d 'Answers carry a run_id'
complete -c flowspool-sandbox -l verbose -f -d 'A line per request'
complete -c flowspool-sandbox -l help -f -d 'A summary'
complete -c flowspool-sandbox -l version -f -d 'The version'
