#!/usr/bin/python3
"""Checks that the manual pages, the shells' completions and the example configuration say what the programs do, no less
and no more.

    check_documents.py [TREE]        prints what is missing, invented or different; status 1 if anything is
    check_documents.py --self-test   the checks can fail

The programs are those in $FLOWSPOOL_BIN_DIR (default: build/release/bin in the tree). Options and configuration come
from the programs themselves, what they do not print from the tables in the sources.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

PAGES = {"flowspoold": "man/flowspoold.8", "flowspool": "man/flowspool.1", "flowspool-sandbox": "man/flowspool-sandbox.1"}
SOURCES = {"flowspoold": "src/daemon", "flowspool": "src/cli", "flowspool-sandbox": "src/sandbox"}
CONFIG_PAGE = "man/flowspool.yaml.5"
JOB_PAGE = "man/flowspool-job.5"
LIBRARY_PAGE = "man/libflowspool.3"
HEADER = "include/flowspool/flowspool.h"
EXAMPLE = "contrib/flowspool.yaml.example"
BASH, ZSH, FISH = (f"contrib/completions/{name}" for name in ("flowspool.bash", "_flowspool", "flowspool.fish"))
DOCUMENTS = [*PAGES.values(), CONFIG_PAGE, JOB_PAGE, LIBRARY_PAGE, EXAMPLE, BASH, ZSH, FISH]
# Explained once, in the page of flowspool, for every command.
COMMON = {"--spool", "-c", "--config", "--help"}

# What a key's kind in the table of keys is called in the manual.
KINDS = {"TEXT": "Text", "DURATION": "Duration", "SIZE": "Size", "PERCENT": "Percentage", "BOOL": "Word",
         "CHOICE": "Word", "INT": "Number", "COUNT": "Number", "NUMBER": "Number"}


# --- What is so ---


def output(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]}: status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def options_in_help(text):
    """What stands behind "Example:" may be another program's."""
    return set(re.findall(r"(?<![\w-])(?:--?[a-zA-Z][\w-]*|-0\b)", re.split(r"Examples?:", text)[0]))


def accepted_options(directory):
    texts = [p.read_text() for p in sorted(directory.glob("*.[ch]"))]
    table = re.compile(r'"([a-z-]+)",\s*(?:no|required|optional)_argument')
    return {"--" + name for text in texts for name in table.findall(text)}


def commands_in_help(text):
    return re.findall(r"^  ([a-z]+) {2,}\S", text, re.M)


def described_keys(text):
    """The columns of flowspoold --describe-config: key, default, range, meaning."""
    keys = {}
    for line in text.splitlines():
        name, default, allowed, meaning = (part.strip() for part in (line[:22], line[23:33], line[34:52], line[53:]))
        keys[name] = {"default": "" if default == "-" else default, "range": allowed, "meaning": meaning}
    return keys


def declared(header):
    """The functions of the library: name -> (type, arguments), with single spaces."""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    found = re.findall(r"^FLOWSPOOL_API ([\w ]+?\*?) ?(flowspool_\w+)\(([^)]*)\);", re.sub(r"\n +", " ", text), re.M)
    return {name: (kind.replace(" *", "*"), [a.strip() for a in arguments.split(",")]) for kind, name, arguments in found}


class Facts:
    def __init__(self, tree, programs):
        def source(name):
            return (tree / name).read_text()

        self.flowspoold = programs / "flowspoold"
        helps = {p: [output(programs / p, "--help")] for p in PAGES}
        self.commands = commands_in_help(helps["flowspool"][0])
        own = {c: output(programs / "flowspool", c, "--help") for c in self.commands}
        helps["flowspool"] += own.values()
        self.short = {c: dict(re.findall(r"(-\w), (--[\w-]+)", text)) for c, text in own.items()}
        self.command_options = {c: options_in_help(text) - COMMON for c, text in own.items()}
        self.options = {p: set().union(*map(options_in_help, texts)) for p, texts in helps.items()}
        self.accepted = {p: accepted_options(tree / d) for p, d in SOURCES.items()}

        self.keys = described_keys(output(self.flowspoold, "--describe-config"))
        kinds = re.findall(r'\{"([\w.]+)", KEY_(\w+),', source("src/io/config_keys.c"))
        for name, kind in kinds:
            self.keys[name]["kind"] = KINDS[kind]
        needs_restart = re.search(r"bool needs_restart\(.*?\n}", source("src/daemon/reload.c"), re.S).group()
        self.restart = set(re.findall(r"old->(\w+)", needs_restart))

        self.job_keys = set(re.findall(r'\{"(\w+)", read_\w+\}', source("src/core/jobfile.c")))
        self.codes = dict(re.findall(r'#define (CODE_\w+) +"(\w+)"', source("src/core/job.h")))
        judge = re.search(r"bool code_is_retryable\(.*?\n}", source("src/core/verdict.c"), re.S).group()
        self.retryable = {self.codes[c] for c in re.findall(r"CODE_\w+", judge)}
        outcome = source("src/core/outcome.c")
        self.fields = set(re.findall(r'put_(?:key|string|number|bool|instant|member)\(w, "(\w+)"', outcome))
        self.fields |= set(re.findall(r'"\{\\"(\w+)\\":', outcome))

        states = re.search(r"const names\[.*?\};", source("src/cli/jobwords.c"), re.S).group()
        self.states = set(re.findall(r'"([a-z-]+)"', states))

        header = source(HEADER)
        self.functions = declared(header)
        self.constants = set(re.findall(r"^    (FLOWSPOOL_\w+)", header, re.M))

        self.statuses = set(re.findall(r"EXIT_\w+ = (\d+),", source("src/daemon/engine.h")))
        self.gates = set(re.findall(r'\{GATE_\w+, "([\w-]+)"\}', source("src/core/holds.c")))
        signals = re.search(r"numbers\[\] = \{(.*?)\}", source("src/daemon/setup.c")).group(1)
        self.signals = set(re.findall(r"SIG\w+", signals))
        readers = [p for d in ("src/io", "src/daemon") for p in sorted((tree / d).glob("*.c"))]
        self.environment = {v for p in readers for v in re.findall(r'getenv\("(\w+)"\)', p.read_text())}

    def all_options(self):
        return set().union(*self.options.values(), *self.accepted.values())

    def nothing_missing(self):
        """A table that moved in the sources would otherwise compare as empty."""
        return [f"this script finds no {name} in the sources" for name, found in vars(self).items() if not found]


# --- What is written ---


def section(page, title):
    found = re.search(rf"^\.Sh {re.escape(title)}\n(.*?)(?=^\.Sh |\Z)", page, re.M | re.S)
    return found.group(1) if found else ""


def items(text, macro):
    """The first words of the .It lines of that macro, with the text below each."""
    heads = list(re.finditer(rf"^\.It {macro} (\S+)[^\n]*\n", text, re.M))
    ends = [h.start() for h in re.finditer(r"^\.(?:It|El)\b", text, re.M)] + [len(text)]
    return {h.group(1): text[h.end():min(e for e in ends if e >= h.end())] for h in heads}


def flags(lines):
    """The options that Fl macros name: "Fl c", "Fl -once", "Fl -help | -version"."""
    found = [m for line in lines for m in re.findall(r"\bFl ((?:-?[\w-]+)(?: \| -?[\w-]+)*)", line)]
    return {"-" + name for names in found for name in names.split(" | ")}


def compare(where, what, documented, real):
    return ([f"{where}: {what} {x} is missing" for x in sorted(real - documented)] +
            [f"{where}: {what} {x} does not exist" for x in sorted(documented - real)])


# --- The comparisons ---


def check_options(facts, documents):
    faults = []
    for program, name in PAGES.items():
        page = documents[name]
        in_help, accepted = facts.options[program], facts.accepted[program]
        faults += [f"{program} --help: option {x} is missing" for x in sorted(accepted - in_help - {"--help", "--version"})]
        faults += [f"{program} --help: option {x} does not exist" for x in sorted(in_help - accepted) if x.startswith("--")]
        if page is None:
            faults.append(f"{name}: there is no such page")
            continue
        listed = flags(re.findall(r"^\.It .*", page, re.M))
        faults += compare(name, "option", listed, in_help | accepted)
    synopsis = flags(section(documents[PAGES["flowspoold"]] or "", "SYNOPSIS").splitlines())
    faults += compare(PAGES["flowspoold"] + ": SYNOPSIS", "option", synopsis | {"-c", "--config"}, facts.options["flowspoold"])
    commands = documents[PAGES["flowspool"]] or ""
    faults += [f"{PAGES['flowspool']}: command {c} is missing" for c in facts.commands
               if commands and not re.search(rf"\b(?:Cm|Ic) {c}\b", commands)]
    return faults


def synopsis_of(page):
    """The options that the synopsis gives each command."""
    shown = {}
    for form in re.split(r"^\.Nm\n", section(page, "SYNOPSIS"), flags=re.M):
        named = re.search(r"^\.Cm (.+)", form, re.M)
        for command in re.findall(r"[a-z]+", named.group(1)) if named else []:
            shown.setdefault(command, set()).update(flags(form[named.end():].splitlines()))
    return shown


def check_commands(facts, documents):
    """Each command of flowspool has its section, in the order of the help, with its options."""
    name = PAGES["flowspool"]
    page = documents[name] or ""
    parts = re.split(r"^\.Ss (.+)\n", section(page, "DESCRIPTION"), flags=re.M)
    sections = dict(zip(parts[1::2], parts[2::2]))
    faults = []
    if parts[1::2] != facts.commands:
        faults.append(f"{name}: the sections are {' '.join(parts[1::2])}, the help lists {' '.join(facts.commands)}")
    synopsis = synopsis_of(page)
    if list(synopsis) != facts.commands:
        faults.append(f"{name}: SYNOPSIS: the commands are {' '.join(synopsis)}, the help lists {' '.join(facts.commands)}")
    for command, real in facts.command_options.items():
        listed = flags(re.findall(r"^\.It .*", sections.get(command, ""), re.M))
        faults += compare(f"{name}: {command}", "option", listed - COMMON, real)
        faults += compare(f"{name}: SYNOPSIS: {command}", "option",
                          {facts.short[command].get(o, o) for o in synopsis.get(command, set())}, real - set(facts.short[command]))
    return faults


# --- Completions: the lists that the files are made of; what shells make of them is integration.completions ---


def words(text):
    return set(re.findall(r"(?<![\w-])--?[a-z0-9][\w-]*", text))


def bash_offers(text):
    cases = re.search(r"^_flowspool_options\(\) \{\n(.*?)^\}", text, re.M | re.S).group(1)
    offers = {c: words(o) for c, o in re.findall(r"^    ([a-z]+)\)(.*?);;", cases, re.M | re.S)}
    for program, function in (("flowspoold", "_flowspoold"), ("flowspool-sandbox", "_flowspool_sandbox")):
        offers[program] = words(re.search(rf"^{function}\(\) \{{\n(.*?)^\}}", text, re.M | re.S).group(1))
    values = {o: set(re.findall(r"[\w-]+", v)) for o, v in
              re.findall(r"^    (--state|--code)\)\s*_flowspool_offer (.*?);;", text, re.M | re.S)}
    commands = re.search(r"^    ''\)\s*_flowspool_offer ([a-z].*?);;", text, re.M | re.S).group(1)
    return offers, values, set(re.findall(r"[a-z]+", commands))


def zsh_offers(text):
    def options(block):
        return words(re.sub(r"\[(?:\\.|[^\]\\])*\]|'\([^)]*\)|:[^']*'", " ", block))

    operator = re.search(r"^_flowspool_command\(\) \{\n(.*?)^\}", text, re.M | re.S).group(1)
    offers = {c: options(o) for c, o in re.findall(r"^    \(([a-z]+)\)\n(.*?);;", operator, re.M | re.S)}
    for program, function in (("flowspoold", "_flowspoold"), ("flowspool-sandbox", "_flowspool_sandbox")):
        block = re.search(rf"^{function}\(\) \{{\n(.*?)^\}}", text, re.M | re.S).group(1)
        offers[program] = options(block.split("_arguments -S :")[1])
    values = {o: set(v.split()) for o, v in re.findall(r"'(--state|--code)=\[[^]]*\]:[a-z]+:\(([^)]*)\)'", text)}
    return offers, values, set(re.findall(r"^        '([a-z]+):", text, re.M))


def fish_offers(text):
    offers, values = {}, {}
    for line in re.findall(r"^complete .*", text.replace("\\\n", " "), re.M):
        program = re.search(r"-c (\S+)", line).group(1)
        command = re.search(r"__flowspool_using ([a-z]+)'", line)
        names = {"--" + n for n in re.findall(r" -l (\S+)", line)} | {"-" + n for n in re.findall(r" -s (\S)", line)}
        if command or program != "flowspool":
            offers.setdefault(command.group(1) if command else program, set()).update(names)
        enumerated = re.search(r" -l (state|code) .*-a '([^']*)'", line)
        if enumerated:
            values["--" + enumerated.group(1)] = set(enumerated.group(2).split())
    return offers, values, set(re.findall(r"-n __flowspool_using -a ([a-z]+)", text))


def check_completions(facts, documents):
    faults = []
    real = {**{c: o for c, o in facts.command_options.items() if o},
            **{p: facts.options[p] | facts.accepted[p] for p in ("flowspoold", "flowspool-sandbox")}}
    for name, offers_of in ((BASH, bash_offers), (ZSH, zsh_offers), (FISH, fish_offers)):
        offers, values, commands = offers_of(documents[name])
        faults += compare(name, "command", commands, set(facts.commands))
        for where, options in real.items():
            faults += compare(f"{name}: {where}", "option", offers.get(where, set()), options)
        faults += [f"{name}: {where} has no options" for where, options in offers.items() if options and where not in real]
        faults += compare(name, "state", values.get("--state", set()), facts.states)
        faults += compare(name, "error code", values.get("--code", set()), set(facts.codes.values()))
    return faults


def check_mentions(facts, documents):
    """Options that a page mentions in passing, its own program's or another's."""
    faults = []
    for name, page in documents.items():
        if page is None or not name.startswith("man/"):
            continue
        lines = [line for line in page.splitlines() if "curl" not in line and "pkg-config" not in line]
        mentioned = flags(lines) | {m for line in lines for m in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)}
        faults += [f"{name}: no program has the option {x}" for x in sorted(mentioned - facts.all_options() - {"-c"})]
    return faults


def check_key(name, key, text, restart):
    found = re.match(r"(\w+)(?:, (.+?))?; default: (.+?); takes effect: (\w+)\.\n", text)
    if not found:
        return [f"{name} does not begin with kind, range, default and when it takes effect"]
    kind, allowed, default, effect = found.groups()
    faults = []
    if kind != key["kind"]:
        faults.append(f"{name} is {kind}, the program takes {key['kind']}")
    if (allowed or "").replace(", decimals allowed", "") != key["range"]:
        faults.append(f"{name} takes {allowed}, the program {key['range']}")
    same = default == key["default"] if key["default"] else (
        default.split(",")[0] == "none" or f"default {default}" in key["meaning"])
    if not same:
        faults.append(f"{name} is {default} by default, in the program {key['default'] or 'empty'}")
    if (effect == "restart") != restart:
        faults.append(f"{name} takes effect with {effect}, in the program with {'restart' if restart else 'SIGHUP'}")
    return faults


def check_configuration(facts, documents):
    described = items(section(documents[CONFIG_PAGE], "KEYS"), "Ic")
    faults = compare(CONFIG_PAGE, "key", set(described), set(facts.keys))
    for name, text in described.items():
        if name in facts.keys:
            wrong = check_key(name, facts.keys[name], text, name in facts.restart)
            faults += [f"{CONFIG_PAGE}: {w}" for w in wrong]
    return faults


def uncomment(text):
    """The example with its commented keys taken in; prose has no line that is a lower-case word and a colon."""
    return "".join(re.sub(r"^# (?=(?:  )?[a-z_]+:(?: |$))", "", line) + "\n" for line in text.splitlines())


def flatten(mapping):
    flat = {}
    for name, value in mapping.items():
        flat.update({f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value})
    return flat


def refusal(facts, text):
    """What flowspoold says about this configuration, whose spool and key are replaced by ones that exist."""
    with tempfile.TemporaryDirectory() as scratch:
        here = pathlib.Path(scratch)
        (here / "key").write_text("example\n")
        (here / "key").chmod(0o600)
        for key, value in (("spool", here), ("state_dir", here / ".flowspool"), ("api_key_file", here / "key")):
            text = re.sub(rf"^{key}: .*", f"{key}: {value}", text, flags=re.M)
        (here / "config").write_text(text)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FLOWSPOOL_")}
        done = subprocess.run([str(facts.flowspoold), "-c", str(here / "config"), "--check-config"], capture_output=True,
                              text=True, timeout=20, env=environment)
        return done.stderr.strip() if done.returncode != 0 else ""


def check_example(facts, documents):
    text = uncomment(documents[EXAMPLE])
    try:
        shown = flatten(yaml.load(text, yaml.BaseLoader))  # every scalar as it is written
    except yaml.YAMLError as error:
        return [f"{EXAMPLE}: with its comments taken in it is not YAML: {error}"]
    faults = compare(EXAMPLE, "key", set(shown), set(facts.keys))
    for name, value in shown.items():
        default = facts.keys[name]["default"] if name in facts.keys else value
        if value != default and default and not (default == "0s" and value == "0"):
            faults.append(f"{EXAMPLE}: {name} is {value}, by default it is {default}")
    for which, configuration in (("as it is", documents[EXAMPLE]), ("with its comments taken in", text)):
        words = refusal(facts, configuration)
        if words:
            faults.append(f"{EXAMPLE}: {which}, flowspoold refuses it: {words}")
    return faults


def check_jobs(facts, documents):
    page = documents[JOB_PAGE]
    codes = items(section(page, "ERROR CODES"), "Li")
    faults = compare(JOB_PAGE, "key", set(items(section(page, "JOB KEYS"), "Ic")), facts.job_keys)
    faults += compare(JOB_PAGE, "error code", set(codes), set(facts.codes.values()))
    faults += compare(JOB_PAGE, "field", set(items(section(page, "OUTCOME FILES"), "Ic")), facts.fields)
    for code, text in codes.items():
        says = {"Retryable.": True, "Not retryable.": False}.get(text.split("\n")[0])
        if says is None or says != (code in facts.retryable):
            faults.append(f"{JOB_PAGE}: {code} must begin with whether it is retryable, which is {code in facts.retryable}")
    return faults


def check_daemon(facts, documents):
    name = PAGES["flowspoold"]
    page = documents[name]
    statuses = set(re.findall(r"^\.It (\d+)$", section(page, "EXIT STATUS"), re.M))
    signals = set(re.findall(r"SIG\w+", " ".join(re.findall(r"^\.It .*", section(page, "SIGNALS"), re.M))))
    return (compare(name, "exit status", statuses, facts.statuses) +
            compare(name, "hold", set(items(section(page, "HOLDS"), "Li")), facts.gates) +
            compare(name, "signal", signals, facts.signals) +
            compare(name, "variable", set(items(section(page, "ENVIRONMENT"), "Ev")), facts.environment))


def check_library(facts, documents):
    page = documents[LIBRARY_PAGE]
    synopsis = re.findall(r'^\.Ft (.+)\n\.Fn (\w+) (.+)$', section(page, "SYNOPSIS"), re.M)
    shown = {name: (kind.replace(" *", "*"), [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', arguments)])
             for kind, name, arguments in synopsis}
    faults = compare(LIBRARY_PAGE + ": SYNOPSIS", "function", set(shown), set(facts.functions))
    faults += [f"{LIBRARY_PAGE}: SYNOPSIS: {name} is {shown[name]}, in the header {facts.functions[name]}"
               for name in sorted(set(shown) & set(facts.functions)) if shown[name] != facts.functions[name]]
    described = set(re.findall(r"\bFn (\w+)", section(page, "DESCRIPTION")))
    faults += compare(LIBRARY_PAGE + ": DESCRIPTION", "function", described, set(facts.functions))
    faults += compare(LIBRARY_PAGE, "constant", set(re.findall(r"Dv (FLOWSPOOL_\w+)", page)), facts.constants)
    return faults


def check(facts, documents):
    checks = (check_options, check_commands, check_completions, check_mentions, check_configuration, check_example, check_jobs,
              check_daemon, check_library)
    return facts.nothing_missing() + [fault for c in checks for fault in c(facts, documents)]


# --- The self-test: each change alone must be noticed ---

CHANGES = [
    # (document, what is there, what comes instead, what must then be said)
    (PAGES["flowspoold"], ".It Fl -once\n", ".It Fl -twice\n", "option --once is missing"),
    (PAGES["flowspoold"], ".It Fl -once\n", ".It Fl -twice\n", "option --twice does not exist"),
    (PAGES["flowspoold"], ".Op Fl -max-jobs Ar N\n", "", "SYNOPSIS: option --max-jobs is missing"),
    (PAGES["flowspoold"], ".Fl -api-key-file\n", ".Fl -key-files\n", "no program has the option --key-files"),
    (PAGES["flowspoold"], ".It 3\n", ".It 7\n", "exit status 3 is missing"),
    (PAGES["flowspoold"], ".It Li vanished\n", "", "hold vanished is missing"),
    (PAGES["flowspoold"], ".It SIGUSR1\n", ".It SIGUSR2\n", "signal SIGUSR2 does not exist"),
    (PAGES["flowspoold"], ".It Ev FLOWSPOOL_ENDPOINT\n", "", "variable FLOWSPOOL_ENDPOINT is missing"),
    (PAGES["flowspool"], ".Ss prune\n", ".Ss prunes\n", "the sections are"),
    (PAGES["flowspool"], ".Ss hold\n", ".Ss release\n", "the sections are"),
    (PAGES["flowspool"], ".It Fl -dry-run\n", "", "prune: option --dry-run is missing"),
    (PAGES["flowspool"], ".It Fl -dry-run\n", ".It Fl -force\n", "prune: option --force does not exist"),
    (PAGES["flowspool"], ".Op Fl -dry-run\n", "", "SYNOPSIS: prune: option --dry-run is missing"),
    (PAGES["flowspool"], ".Cm pause | resume\n", ".Cm resume | pause\n", "SYNOPSIS: the commands are"),
    (BASH, "drain prune\n", "drain\n", "flowspool.bash: command prune is missing"),
    (BASH, "--older-than --dry-run", "--older-than", "prune: option --dry-run is missing"),
    (BASH, "show) _flowspool_offer --json", "show) _flowspool_offer --json --all", "show: option --all does not exist"),
    (BASH, "--once ", "", "flowspoold: option --once is missing"),
    (BASH, " --seed ", " --sod ", "flowspool-sandbox: option --sod does not exist"),
    (BASH, " refused ;;", " ;;", "flowspool.bash: state refused is missing"),
    (BASH, " expired ", " expires ", "flowspool.bash: error code expires does not exist"),
    (ZSH, "'prune:removes", "'prunes:removes", "_flowspool: command prune is missing"),
    (ZSH, "'--dry-run[", "'--dry[", "prune: option --dry-run is missing"),
    (ZSH, "'--failed[", "'--failing[", "retry: option --failing does not exist"),
    (ZSH, "'--once[", "'--twice[", "flowspoold: option --once is missing"),
    (ZSH, "'--seed=[", "'--sod=[", "flowspool-sandbox: option --sod does not exist"),
    (ZSH, " refused)", ")", "_flowspool: state refused is missing"),
    (ZSH, " expired ", " expires ", "_flowspool: error code expires does not exist"),
    (FISH, "-a prune ", "-a prunes ", "flowspool.fish: command prune is missing"),
    (FISH, "-l dry-run ", "-l dry ", "prune: option --dry-run is missing"),
    (FISH, "-s 0 -l null ", "-l null ", "list: option -0 is missing"),
    (FISH, "-l once ", "-l twice ", "flowspoold: option --twice does not exist"),
    (FISH, "-l seed ", "-l sod ", "flowspool-sandbox: option --seed is missing"),
    (FISH, " failed refused'", " failed'", "flowspool.fish: state refused is missing"),
    (FISH, " expired ", " expires ", "flowspool.fish: error code expires does not exist"),
    (CONFIG_PAGE, ".It Ic rescan\n", ".It Ic rescue\n", "key rescan is missing"),
    (CONFIG_PAGE, ".It Ic rescan\n", ".It Ic rescue\n", "key rescue does not exist"),
    (CONFIG_PAGE, "0 to 1h; default: 1s", "0 to 1h; default: 2s", "settle is 2s by default"),
    (CONFIG_PAGE, "0 to 1h; default: 1s", "0 to 2h; default: 1s", "settle takes 0 to 2h"),
    (CONFIG_PAGE, "Size, 1KiB to 64MiB", "Number, 1KiB to 64MiB", "max_job_size is Number"),
    (CONFIG_PAGE, "default: false; takes effect: restart", "default: false; takes effect: SIGHUP", "recursive takes effect"),
    (EXAMPLE, "# rescan: 60s\n", "", "key rescan is missing"),
    (EXAMPLE, "# rescan: 60s\n", "# rescan: 61s\n", "rescan is 61s"),
    (EXAMPLE, "#   cap: 60s\n", "#   cap: 60s\n#   top: 1s\n", "key retry.top does not exist"),
    (EXAMPLE, "endpoint: https://host.example\n", "endpoint: host.example\n", "flowspoold refuses it"),
    (JOB_PAGE, ".It Ic not_before\n", "", "key not_before is missing"),
    (JOB_PAGE, ".It Li expired\n", ".It Li expires\n", "error code expired is missing"),
    (JOB_PAGE, ".It Li expired\nNot retryable.", ".It Li expired\nRetryable.", "expired must begin"),
    (JOB_PAGE, ".It Ic duration_ms\n", ".It Ic duration\n", "field duration_ms is missing"),
    (JOB_PAGE, ".It Ic extra\n", "", "field extra is missing"),
    (LIBRARY_PAGE, ".Fn flowspool_free ", ".Fn flowspool_release ", "SYNOPSIS: function flowspool_free is missing"),
    (LIBRARY_PAGE, ".Fn flowspool_free ", ".Fn flowspool_release ", "SYNOPSIS: function flowspool_release does not exist"),
    (LIBRARY_PAGE, '"int timeout_ms"', '"long timeout_ms"', "SYNOPSIS: flowspool_wait is"),
    (LIBRARY_PAGE, ".It Fn flowspool_job_print\n", ".It Fn flowspool_job_write\n", "DESCRIPTION: function flowspool_job_write does not"),
    (LIBRARY_PAGE, ".It Fn flowspool_watch_fd\n", ".It\n", "DESCRIPTION: function flowspool_watch_fd is missing"),
    (LIBRARY_PAGE, ".Dv FLOWSPOOL_HELD ,\n", "", "constant FLOWSPOOL_HELD is missing"),
]


def self_test(facts, documents):
    before = set(check(facts, documents))
    wrong = []
    for name, old, new, expected in CHANGES:
        if documents[name].count(old) < 1:
            wrong.append(f"{name} does not hold what the self-test changes: {old!r}")
            continue
        changed = {**documents, name: documents[name].replace(old, new, 1)}
        if not any(expected in fault for fault in set(check(facts, changed)) - before):
            wrong.append(f"not noticed in {name}: {old!r} became {new!r}")
    return wrong


def main(arguments):
    testing = arguments[:1] == ["--self-test"]
    tree = pathlib.Path(arguments[-1] if arguments and not testing else ".").resolve()
    programs = pathlib.Path(os.environ.get("FLOWSPOOL_BIN_DIR", tree / "build" / "release" / "bin"))
    documents = {n: (tree / n).read_text() if (tree / n).exists() else None for n in DOCUMENTS}
    facts = Facts(tree, programs)
    faults = self_test(facts, documents) if testing else check(facts, documents)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
