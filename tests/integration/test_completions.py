"""What bash, zsh and fish complete, in the shells themselves."""

import re
import shutil
import subprocess

import pytest

from command_line import command
from conftest import BIN
from shells import Fish, shell, typed  # noqa: F401 - fixtures

COMMON = {"--spool", "--config", "--help"}
CODES = {"invalid_job", "missing_input", "workflow_not_found", "rejected", "server_error", "unreachable", "invalid_response",
         "response_too_large", "expired", "cancelled", "ambiguous"}
STATES = {"waiting", "later", "held", "missing", "in-flight", "done", "failed", "refused"}
# Whatever somebody may call a file, and how much of it is typed, in each way to quote.
ODD = {
    "blank space.yaml": ["bl", "blank\\ s", "'blank s", '"blank s', "bl'ank s"],
    "quote's.yaml": ["q", "quote\\'", '"quote\'s'],
    'double".yaml': ["do", 'double\\"', "'double\"."],
    "substitute$(touch pwned).yaml": ["su", "'substitute$"],
    "run`touch pwned`.yaml": ["ru"],
    "semicolon;touch pwned.yaml": ["se", "'semicolon;"],
    "class[a].yaml": ["cl", "'class[a"],
    "star*.yaml": ["'star*"],
    "starlet.yaml": ["starl"],
    "mark?.yaml": ["ma", "'mark?"],
    "back\\slash.yaml": ["ba", "'back\\s"],
    "colon:x.yaml": ["co", "colon:", "'colon:x"],
    "equals=x.yaml": ["eq", "equals=", "'equals=x"],
    "at@x.yaml": ["at", "at@", "'at@"],
    "ampersand&x.yaml": ["am", "'ampersand&"],
    "tilde~.yaml": ["ti"],
    "hash#.yaml": ["ha"],
    "umlaut-ä.yaml": ["um", "umlaut-ä"],
    "tab\tx.yaml": ["ta"],
    "line\nx.yaml": ["li"],
}


def long_options(*arguments, program="flowspool"):
    """Those that the help has, before its examples."""
    text = subprocess.run([str(BIN / program), *arguments, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", re.split(r"Examples?:", text)[0]))


def commands():
    text = command("--help").stdout
    return re.findall(r"^  ([a-z]+) {2,}\S", text, re.M)


@pytest.fixture
def filled(spool, once):
    """A spool in which jobs wait, are held, and have failed; no daemon runs."""

    def fill(names=(), held=(), config=""):
        for name in names:
            spool.drop(name, workflow="wf_waits", not_before="2100-01-01T00:00:00Z")
        spool.drop("failed-1.yaml", text="workflow: wf_fails\ninputs: {}\nexpires: 2001-01-01T00:00:00Z\n")
        once("http://127.0.0.1:9", config=config)
        if held:
            assert command("--spool", spool.path, "hold", "--", *held).returncode == 0
        return spool

    return fill


def test_every_command_and_every_option_of_its_help(shell, tmp_path):  # noqa: F811
    sh = shell(tmp_path)
    assert sorted(sh.offers("flowspool ")) == sorted(commands())
    assert set(sh.offers("flowspool --")) == COMMON | {"--version"}
    for name in commands():
        offered = {o.rstrip("=") for o in sh.offers(f"flowspool {name} --")}
        assert offered == COMMON | long_options(name), name
    for program in ("flowspoold", "flowspool-sandbox"):
        assert {o.rstrip("=") for o in sh.offers(f"{program} --")} == long_options(program=program), program


def test_values_that_are_enumerated(shell, tmp_path):  # noqa: F811
    sh = shell(tmp_path)
    assert set(sh.offers("flowspool list --state ")) == STATES
    assert set(sh.offers("flowspool retry --failed --code ")) == CODES
    assert sh.offers("flowspool --spool x list --state in") == ["in-flight"]
    assert set(sh.offers("flowspoold --log-level ")) == {"error", "warn", "info", "debug"}
    assert set(sh.offers("flowspoold --log-format ")) == {"text", "json"}
    assert set(sh.offers("flowspool-sandbox --missing-input ")) == {"undefined", "strict"}
    for option, values in enumerated().items():
        assert set(sh.offers(f"flowspool-sandbox {option} ")) == values, option


def enumerated():
    """The sandbox says itself what it takes."""
    found = {}
    for option in ("--limiter", "--headers"):
        said = command(option, "x", program=BIN / "flowspool-sandbox").stderr
        found[option] = set(re.findall(r"[\w-]+", said.split("one of ")[1]))
    return found


def test_jobs_of_the_spool_that_the_line_names(shell, filled, tmp_path):  # noqa: F811
    spool = filled(["night-1.yaml", "night-2.yaml", "day.yaml", "-dash.yaml"], held=["night-2.yaml"])
    config = tmp_path / "config.yaml"
    config.write_text(f"spool: {spool.path}\n")
    nights = ["night-1.yaml", "night-2.yaml"]
    sh = shell(tmp_path)
    for where in ("--spool spool", "--spool=spool", "--spool ~/../spool", "-c config.yaml", "--config=config.yaml", "-cconfig.yaml",
                  "--spool 'spool'"):
        assert sorted(sh.offers(f"flowspool {where} show ni")) == nights, where
        assert sorted(sh.offers(f"flowspool log {where} day.yaml ni")) == nights, where
    assert sh.offers("flowspool show ni") == []
    assert sh.offers("flowspool --spool nowhere show ni") == []

    sh = shell(tmp_path, FLOWSPOOL_SPOOL="spool", SOMEWHERE="spool")
    everything = sorted([*nights, "day.yaml", "failed-1.yaml"])
    for name in ("list", "show", "explain", "log", "wait", "cancel", "hold"):
        assert sorted(sh.offers(f"flowspool {name} ")) == everything, name
    assert sh.offers("flowspool retry ") == ["failed-1.yaml"]
    assert sorted(sh.offers("flowspool retry --force ")) == everything
    assert sh.offers("flowspool release ") == ["night-2.yaml"]
    assert sorted(sh.offers("flowspool list --workflow ")) == ["wf_fails", "wf_waits"]
    assert sh.offers("flowspool retry --failed --workflow ") == ["wf_fails"]
    assert sorted(sh.offers("flowspool --spool $SOMEWHERE show ni")) == nights
    assert sh.offers("flowspool show day.result") == []


def test_jobs_below_the_spool(shell, filled, tmp_path):  # noqa: F811
    filled(["sub/one.yaml", "sub/two.yaml", "sole.yaml"], config="recursive: true\n")
    sh = shell(tmp_path, FLOWSPOOL_SPOOL="spool")
    assert sorted(sh.offers("flowspool show s")) == ["sole.yaml", "sub/one.yaml", "sub/two.yaml"]
    assert sh.offers("flowspool show sub/t") == ["sub/two.yaml"]


def test_odd_names_reach_the_command_as_they_are(typed, filled, tmp_path):  # noqa: F811
    filled(ODD)
    sh = typed(tmp_path, FLOWSPOOL_SPOOL="spool")
    for name, beginnings in ODD.items():
        for begun in beginnings:
            line = sh.completed(f"flowspool show {begun}")
            script = "flowspool() { printf '%s' \"$2\"; }\n" + line
            meant = subprocess.run([sh.name, "-c", script], capture_output=True, text=True, cwd=tmp_path).stdout
            assert meant == name, (begun, line)
    assert not (tmp_path / "pwned").exists()


def test_fish_survives_odd_names(filled, tmp_path):
    """It cannot be told a name with a tab or a line's end: those are left out, and their parts too."""
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    filled(ODD)
    assert sorted(Fish(tmp_path, tmp_path, FLOWSPOOL_SPOOL="spool").offers("flowspool show ")) == sorted(
        name for name in [*ODD, "failed-1.yaml"] if not re.search(r"[\t\n]", name))


def test_files_and_directories_are_left_to_the_shell(typed, tmp_path):  # noqa: F811
    (tmp_path / "jobs dir").mkdir()
    (tmp_path / "jobs file.yaml").write_text("")
    sh = typed(tmp_path)
    directory, file = r"jobs\ dir/", r"jobs\ file.yaml"
    assert sh.completed("flowspool check jobs\\ f").rstrip() == f"flowspool check {file}"
    assert sh.completed("flowspool -c jobs\\ f").rstrip() == f"flowspool -c {file}"
    assert sh.completed("flowspool submit wf_x text=@jobs\\ f").rstrip() == f"flowspool submit wf_x text=@{file}"
    assert sh.completed("flowspool --spool j").rstrip() == f"flowspool --spool {directory}"
    assert sh.completed("flowspool --spool=j").rstrip() == f"flowspool --spool={directory}"
    assert sh.completed("flowspoold --api-key-file jobs\\ f").rstrip() == f"flowspoold --api-key-file {file}"
    assert sh.completed("flowspool show jobs\\ f").rstrip() == f"flowspool show {file}"
    assert sh.completed("flowspool status jo").rstrip() == "flowspool status jo"
