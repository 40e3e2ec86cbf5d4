"""A backlog that lies there at the start, with what an earlier run left behind."""


def test_a_backlog_is_done_while_the_first_scan_still_runs(spool, sandbox, once):
    for n in range(1500):
        (spool.path / f"j{n:04}.yaml").write_text(f"workflow: wf_echo\ninputs: {{n: {n}}}\n")
    # More than one: a name may, rarely, look like one of this start.
    left_over = [spool.path / f".flowspool.{c * 6}" for c in "aBx07"]
    for path in left_over:
        path.write_text("half an outc")
    server = sandbox("--limiter", "none")
    status, d = once(server.url)
    assert status == 0, d.log
    assert len(list(spool.path.glob("*.result.json"))) == 1500
    assert server.stats()["runs"] == 1500
    assert sum(path.exists() for path in left_over) <= 1
    assert "cannot" not in d.log
    assert not list(spool.path.glob("*.error.*"))
