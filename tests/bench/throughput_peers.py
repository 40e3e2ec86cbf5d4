#!/usr/bin/python3
"""Bulk requests as people write them with aiohttp: what throughput.py compares flowspoold with.

    throughput_peers.py asyncio URL JOBS AT_ONCE
    throughput_peers.py cookbook URL JOBS AT_ONCE

Nothing is durable. Every answer is parsed; only cookbook writes it down.
"""

import asyncio
import json
import sys
import tempfile

import aiohttp

HEADERS = {"Authorization": "Bearer bench"}


def request(job):
    return {"topic": f"number {job}", "words": "40"}


async def simple(url, jobs, at_once):
    """One session, so many workers."""
    left = iter(range(jobs))

    async def work(session):
        for job in left:
            async with session.post(url, json=request(job), headers=HEADERS) as reply:
                assert (await reply.json())["success"]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once)) as session:
        await asyncio.gather(*(work(session) for _ in range(at_once)))


async def cookbook(url, jobs, at_once):
    """OpenAI's cookbook, api_request_parallel_processor.py: requests from a file of JSON lines, a task each, a loop that
    sleeps 1 ms a round, and a file that is opened for every result. Its budgets are larger than the run."""
    source = tempfile.NamedTemporaryFile("w+", suffix=".jsonl", dir=".")
    source.writelines(json.dumps(request(job)) + "\n" for job in range(jobs))
    source.seek(0)
    results = tempfile.NamedTemporaryFile(suffix=".jsonl", dir=".")
    running = set()

    async def call(session, line):
        async with session.post(url, json=json.loads(line), headers=HEADERS) as reply:
            answer = await reply.json()
        with open(results.name, "a", encoding="utf-8") as file:
            file.write(json.dumps([line, answer]) + "\n")

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once)) as session:
        more = True
        while more or running:
            line = source.readline() if more else ""
            more = line != ""
            if more:
                task = asyncio.create_task(call(session, line))
                running.add(task)
                task.add_done_callback(running.discard)
            await asyncio.sleep(0.001)


def main():
    how, url, jobs, at_once = sys.argv[1:]
    asyncio.run({"asyncio": simple, "cookbook": cookbook}[how](url, int(jobs), int(at_once)))


if __name__ == "__main__":
    main()
