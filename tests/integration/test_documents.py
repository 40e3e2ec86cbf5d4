"""Files of several documents that are edited, and files whose edits are refused: every result keeps its job, none is bought again."""

import contextlib
import json

import pytest

from conftest import flowspool, job_text, wait_for
from hostile_control import posts, release, script

QUICK = "rescan: 200ms\nretry: {base: 10ms, cap: 50ms}\nmax_job_size: 1KiB\n"
# Refused at once, where one that does not parse is given time to be completed.
REFUSED = "# " + "x" * 1024 + "\n"


def write(spool, name, *documents):
    """Anew, in the recommended way. A document is what its job says."""
    aside = spool.path / f".{name}.new"
    aside.write_text("---\n".join(job_text(inputs={"n": d}) for d in documents))
    aside.rename(spool.path / name)


def kept(spool):
    """{name: what lies in superseded/ under it}."""
    superseded = spool.state / "superseded"
    found = {}
    for path in superseded.iterdir() if superseded.exists() else ():
        with contextlib.suppress(FileNotFoundError):  # it went back meanwhile
            found[path.name] = json.loads(path.read_text())
    return found


class Edited:
    """m.yaml of some documents, with a result each; edited while the daemon runs, or while it does not."""

    def __init__(self, spool, server, daemon, running):
        self.spool, self.server, self.daemon, self.running = spool, server, daemon, running
        self.said = {}

    def start(self, *documents):
        self.d = self.daemon(self.server.url, config=QUICK)
        write(self.spool, "m.yaml", *documents)
        wait_for(lambda: len(self.spool.outcomes()) == len(documents), "a result of each")
        self.learn(*documents)
        return self

    def learn(self, *documents):
        for stem, document in zip(self.stems(documents), documents):
            self.said.setdefault(document, self.spool.result(stem)["result"])

    @staticmethod
    def stems(documents):
        return [f"m.{n}" for n in range(1, len(documents) + 1)] if len(documents) > 1 else ["m"]

    def edit(self, *documents):
        """And waits until every document has its result; those that were there before keep theirs."""
        if not self.running:
            assert self.d.stop() == 0
        write(self.spool, "m.yaml", *documents)
        if not self.running:
            self.d = self.daemon(self.server.url, config=QUICK)
        for stem, document in zip(self.stems(documents), documents):
            if document in self.said:
                mine = lambda: (self.spool.result(stem) or {}).get("result") == self.said[document]
            else:
                mine = lambda: (self.spool.result(stem) or {"result": None})["result"] not in [None, *self.said.values()]
            wait_for(mine, f"the result of {document} as {stem}")
        number = lambda stem: self.spool.result(stem).get("document")
        if len(documents) > 1:
            wait_for(lambda: [number(s) for s in self.stems(documents)] == list(range(1, len(documents) + 1)), "the numbers")
        self.learn(*documents)
        return self

    def expect(self, bought, aside=()):
        """aside: the documents whose results lie in superseded/, each once."""
        texts = sorted(self.said[d] for d in aside)
        wait_for(lambda: sorted(k["result"] for k in kept(self.spool).values()) == texts, "what is kept aside")
        assert posts(self.server) == bought
        assert self.d.stop() == 0, self.d.log
        return self


@pytest.fixture(params=["running", "stopped"])
def edited(request, spool, hostile, daemon):
    return Edited(spool, hostile(), daemon, request.param == "running")


def test_one_is_put_in_front(edited):
    edited.start("A", "B").edit("X", "A", "B").expect(3)


def test_many_are_put_in_front(edited):
    documents = [f"{i}" for i in range(12)]
    edited.start(*documents).edit("X", "Y", *documents).expect(14)


def test_the_first_is_removed(edited):
    edited.start("A", "B", "C").edit("B", "C").expect(3, aside=["A"])


def test_all_but_one_are_removed_and_come_back(edited):
    edited.start("A", "B", "C").edit("C").edit("A", "B", "C").expect(3)


def test_two_trade_places(edited):
    edited.start("A", "B", "C").edit("A", "C", "B").expect(3)


def test_three_rotate(edited):
    edited.start("A", "B", "C").edit("C", "A", "B").expect(3)


def test_reversed_with_one_changed(edited):
    edited.start("A", "B", "C", "D").edit("D", "X", "B", "A").expect(5, aside=["C"])


def test_an_old_request_comes_back_to_another_place(edited):
    edited.start("A", "B").edit("B", "X").edit("X", "A", "B").expect(3)


# --- refusals ---


def test_a_broken_edit_and_back(spool, hostile, daemon):
    server = hostile()
    daemon(server.url, config=QUICK)
    path = spool.drop("r.yaml", inputs={"n": "1"})
    before = spool.outcome("r")
    spool.drop("r.yaml", text=REFUSED)
    wait_for(lambda: spool.error("r"), "the refusal")
    assert spool.error("r")["error"]["code"] == "invalid_job"
    wait_for(lambda: spool.outcomes() == ["r.error.json"], "the result to make room")
    assert [k["result"] for k in kept(spool).values()] == [before["result"]]
    spool.drop("r.yaml", inputs={"n": "1"})
    wait_for(lambda: spool.result("r"), "the result to be back")
    wait_for(lambda: spool.outcomes() == ["r.result.json"], "the refusal to go")
    wait_for(lambda: kept(spool) == {}, "nothing to be kept aside")
    assert spool.result("r") == before
    assert posts(server) == 1 and path.exists()


def test_a_broken_edit_and_another(spool, hostile, daemon):
    server = hostile()
    daemon(server.url, config=QUICK)
    spool.drop("r.yaml", inputs={"n": "1"})
    first = spool.outcome("r")
    spool.drop("r.yaml", text=REFUSED)
    wait_for(lambda: spool.outcomes() == ["r.error.json"], "the refusal")
    spool.drop("r.yaml", inputs={"n": "2"})
    second = wait_for(lambda: spool.result("r"), "the second result")
    assert second["request_sha256"] != first["request_sha256"]
    spool.drop("r.yaml", inputs={"n": "1"})
    wait_for(lambda: spool.result("r") == first, "the first result to be back")
    wait_for(lambda: list(kept(spool).values()) == [second], "the second to be kept")
    assert posts(server) == 2 and spool.outcomes() == ["r.result.json"]


def test_a_broken_edit_of_several_documents_and_back(spool, hostile, daemon):
    server = hostile()
    daemon(server.url, config=QUICK)
    write(spool, "m.yaml", "A", "B")
    wait_for(lambda: len(spool.outcomes()) == 2, "both results")
    before = [spool.result("m.1"), spool.result("m.2")]
    spool.drop("m.yaml", text=REFUSED)
    wait_for(lambda: spool.error("m"), "the refusal")
    write(spool, "m.yaml", "B", "A")
    in_place = lambda: [(spool.result(s) or {}).get("result") for s in ("m.1", "m.2")]
    wait_for(lambda: in_place() == [before[1]["result"], before[0]["result"]], "both results in their new order")
    assert posts(server) == 2
    wait_for(lambda: kept(spool) == {}, "nothing to be kept aside")


def test_a_refusal_waits_for_a_directory_in_the_way(spool, hostile, daemon):
    server = hostile()
    d = daemon(server.url, config=QUICK)
    (spool.path / "c.error.json").mkdir()
    spool.drop("c.yaml", text=REFUSED)
    d.logged("a directory is in the way")
    (spool.path / "c.error.json").rmdir()
    wait_for(lambda: (spool.path / "c.error.json").is_file(), "the refusal")
    assert spool.error("c")["error"]["code"] == "invalid_job"
    assert posts(server) == 0


def test_a_refusal_that_was_not_written_is_written_by_the_next_start(spool, hostile, once):
    server = hostile()
    (spool.path / "c.error.json").mkdir()
    spool.drop("c.yaml", text="nonsense: 1\n")
    status, d = once(server.url, config="once_patience: 1s\n")
    assert status == 6, d.log
    (spool.path / "c.error.json").rmdir()
    status, d = once(server.url)
    assert status == 0, d.log
    error = spool.error("c")
    assert error["error"]["code"] == "invalid_job" and "line 1" in error["error"]["message"]
    assert error["job"] == "c.yaml" and error["queued_at"] and error["finished_at"] and error["job_sha256"]


def test_a_refusal_that_was_collected_is_not_written_again(spool, hostile, daemon, once):
    server = hostile()
    d = daemon(server.url, config=QUICK)
    spool.drop("c.yaml", text=REFUSED)
    assert spool.outcome("c")["error"]["code"] == "invalid_job"
    (spool.path / "c.error.json").unlink()
    assert d.stop() == 0
    assert once(server.url, config=QUICK)[0] == 0
    assert spool.outcomes() == []


def test_a_broken_edit_in_flight(spool, hostile, daemon):
    """The running attempt is finished and kept; the file as it was gets its result."""
    server = hostile()
    script(server, all="hold")
    daemon(server.url, config=QUICK)
    spool.drop("r.yaml", inputs={"n": "1"})
    wait_for(lambda: posts(server) == 1, "the request")
    spool.drop("r.yaml", text=REFUSED)
    wait_for(lambda: spool.error("r"), "the refusal")
    script(server, all="ok")
    release(server)
    wait_for(lambda: len(kept(spool)) == 1, "the result to be kept")
    spool.drop("r.yaml", inputs={"n": "1"})
    wait_for(lambda: spool.result("r"), "the result")
    wait_for(lambda: spool.outcomes() == ["r.result.json"] and kept(spool) == {}, "nothing else")
    assert posts(server) == 1


# --- whose endpoint ---


def test_a_recovered_reply_names_the_endpoint_that_was_asked(spool, hostile, daemon, once):
    """The reply is durable, its outcome is not; the next start asks another endpoint."""
    first, second = hostile(), hostile()
    d = daemon(first.url, config=QUICK)
    (spool.path / "a.result.json").mkdir()
    spool.drop("a.yaml")
    d.logged("its outcome cannot be written")
    d.kill()
    (spool.path / "a.result.json").rmdir()
    assert once(second.url)[0] == 0
    assert spool.result("a")["endpoint"] == first.url
    assert posts(first) == 1 and posts(second) == 0


def test_an_ambiguous_request_names_the_endpoint_that_was_asked(spool, hostile, daemon, once):
    first, second = hostile(), hostile()
    script(first, all="hold")
    hold = "retry: {on_ambiguous: hold}\n"
    d = daemon(first.url, config=hold)
    spool.drop("a.yaml")
    wait_for(lambda: posts(first) == 1, "the request")
    d.kill()
    assert once(second.url, config=hold)[0] == 1
    assert spool.error("a")["error"]["code"] == "ambiguous"
    assert spool.error("a")["endpoint"] == first.url


# --- the name that a list tells ---


def test_flowspool_list_has_one_line_a_document(edited, spool):
    edited.start("A", "B").edit("X", "A", "B")
    listed = lambda: [json.loads(line) for line in flowspool(spool, "list", "--json").splitlines()]
    done = [("m.yaml", n, "done") for n in (1, 2, 3)]
    wait_for(lambda: [(j["job"], j["document"], j["state"]) for j in listed()] == done, "a line a document")
