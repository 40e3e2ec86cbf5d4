"""Shells that complete a line: what they offer for it, and what they make of it."""

import contextlib
import fcntl
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import termios

import pytest

from conftest import BIN, PATIENCE, ROOT, wait_for

COMPLETIONS = ROOT / "contrib" / "completions"

# Calls the function as the shell does, in a shell that nobody types into.
BASH = r"""
source "$1"
COMP_LINE=$2 COMP_POINT=${#2}
[[ "$(complete -p "${2%% *}")" =~ -F\ ([a-z_]+) ]] || exit 3
"${BASH_REMATCH[1]}"
[[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\0' "${COMPREPLY[@]}"
"""

# compadd is what every completion of zsh ends in; with -O, -A and -D it only tries.
ZSH_RC = r"""
PS1='' ; LISTMAX=100000 ; unsetopt beep
fpath=(%(completions)s $fpath)
autoload -Uz compinit ; compinit -u -D
compadd() {
    if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
        local -a hits
        builtin compadd -A hits "$@"
        (( ! $#hits )) || print -rN -- $hits >>%(offered)s
    fi
    builtin compadd "$@"
}
told() { zle complete-word ; print -rn -- $BUFFER >%(line)s.new ; mv %(line)s.new %(line)s ; BUFFER= }
zle -N told ; bindkey '^T' told
: >%(ready)s
"""

BASH_RC = r"""
PS1=
source %(completions)s/flowspool.bash
bind 'set bell-style none' ; bind 'set completion-query-items 0' ; bind 'set page-completions off'
told() { printf %%s "$READLINE_LINE" >%(line)s.new ; mv %(line)s.new %(line)s ; READLINE_LINE= ; READLINE_POINT=0 ; }
bind '"\C-y": complete' ; bind -x '"\C-g": told' ; bind '"\C-t": "\C-y\C-g"'
: >%(ready)s
"""


def environment(**variables):
    """The programs of this build, for a user who has set nothing else."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FLOWSPOOL_") and k not in ("BASH_ENV", "ENV", "ZDOTDIR")}
    return {**kept, "PATH": f"{BIN}:{kept['PATH']}", "TERM": "dumb", "LC_ALL": "C.UTF-8", **variables}


class Bash:
    """A function that is called; what it leaves to the shell, files, is not seen."""

    name = "bash"

    def __init__(self, scratch, cwd, **variables):
        self.cwd, self.environment = cwd, environment(HOME=str(scratch), **variables)

    def offers(self, line):
        done = subprocess.run(["bash", "--norc", "-c", BASH, "bash", str(COMPLETIONS / "flowspool.bash"), line], cwd=self.cwd,
                              env=self.environment, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return done.stdout.split("\0")[:-1]

    def close(self):
        pass


class Fish:
    name = "fish"

    def __init__(self, scratch, cwd, **variables):
        self.cwd, self.environment = cwd, environment(HOME=str(scratch), **variables)

    def offers(self, line):
        quoted = "'" + line.replace("\\", "\\\\").replace("'", "\\'") + "'"
        script = f"source {shlex.quote(str(COMPLETIONS / 'flowspool.fish'))}; complete -C {quoted}"
        done = subprocess.run(["fish", "--no-config", "-c", script], cwd=self.cwd, env=self.environment, capture_output=True,
                              text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return [offer.split("\t")[0] for offer in done.stdout.splitlines()]

    def close(self):
        pass


class Typed:
    """A shell on a terminal: a key completes what was typed and writes down what became of it."""

    def __init__(self, scratch, cwd, command, rc, script, **variables):
        self.line, self.offered, self.ready = (scratch / f"{self.name}-{what}" for what in ("line", "offered", "ready"))
        files = {"completions": COMPLETIONS, "line": self.line, "offered": self.offered, "ready": self.ready}
        (scratch / rc).write_text(script % {k: shlex.quote(str(v)) for k, v in files.items()})
        self.terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(command, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                                        env=environment(HOME=str(scratch), ZDOTDIR=str(scratch), **variables))
        os.close(theirs)
        self.seen = b""
        self.appears(self.ready, "to start")

    def appears(self, path, what):
        def there():
            with contextlib.suppress(OSError):
                while select.select([self.terminal], [], [], 0)[0]:
                    self.seen += os.read(self.terminal, 65536)
            return path.exists()

        try:
            wait_for(there, f"{self.name} {what}")
        except AssertionError:
            raise AssertionError(f"{self.name} does not come {what}; its terminal: {self.seen[-1000:]!r}") from None

    def completed(self, line):
        """The line as the shell has completed it."""
        self.line.unlink(missing_ok=True)
        self.offered.unlink(missing_ok=True)
        os.write(self.terminal, line.encode() + b"\x14")
        self.appears(self.line, f"to complete {line!r}")
        return self.line.read_text()

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.terminal)


class TypedBash(Typed):
    name = "bash"

    def __init__(self, scratch, cwd, **variables):
        rc = scratch / "bashrc"
        super().__init__(scratch, cwd, ["bash", "--noprofile", "--rcfile", str(rc), "-i"], rc.name, BASH_RC, **variables)


class Zsh(Typed):
    name = "zsh"

    def __init__(self, scratch, cwd, **variables):
        super().__init__(scratch, cwd, ["zsh", "-d", "-i"], ".zshrc", ZSH_RC, **variables)

    def offers(self, line):
        self.completed(line)
        return self.offered.read_text().split("\0")[:-1] if self.offered.exists() else []


@pytest.fixture(params=[Bash, Zsh, Fish], ids=lambda s: s.name)
def shell(request, tmp_path):
    """shell(cwd, **variables): each of the shells that are installed."""
    yield from started(request.param, tmp_path)


@pytest.fixture(params=[TypedBash, Zsh], ids=lambda s: s.name)
def typed(request, tmp_path):
    """The same of the shells that are typed into."""
    yield from started(request.param, tmp_path)


def started(kind, tmp_path):
    if shutil.which(kind.name) is None:
        pytest.skip(f"{kind.name} is not installed")
    shells = []

    def start(cwd=tmp_path, **variables):
        scratch = tmp_path / f"shell-{len(shells)}"
        scratch.mkdir()
        shells.append(kind(scratch, cwd, **variables))
        return shells[-1]

    yield start
    for one in shells:
        one.close()
