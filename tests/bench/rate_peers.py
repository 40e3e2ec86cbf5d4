#!/usr/bin/python3
"""Bulk requests as people write them: what rate_on_sockets.py compares flowspoold with.

    rate_peers.py semaphore URL JOBS AT_ONCE
    rate_peers.py budget URL JOBS PER_MINUTE

Every job is one POST that is asked again until it is answered with 200. Neither is tuned to a limiter, and neither is
made worse than what it imitates: nothing is written, nobody gives up, no answer is parsed beyond its status.
"""

import asyncio
import json
import random
import sys
import time
import urllib.parse


async def post(url, job):
    """The status of one request."""
    body = json.dumps({"text": f"job {job}"}).encode()
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        writer.write((f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer bench\r\n"
                      f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode() + body)
        reply = await reader.read()
    finally:
        writer.close()
    return int(reply.split(b" ", 2)[1])


async def semaphore(url, jobs, at_once):
    """So many at a time; after a refusal a pause that doubles up to a minute, with jitter, in the job's own place."""
    places = asyncio.Semaphore(at_once)

    async def run(job):
        async with places:
            tries = 0
            while await post(url, job) != 200:
                await asyncio.sleep(min(60, 2**tries) * random.uniform(0.5, 1))
                tries += 1

    await asyncio.gather(*(run(job) for job in range(jobs)))


PAUSE_S = 15


async def budget(url, jobs, per_minute):
    """OpenAI's cookbook, api_request_parallel_processor.py: a budget that is full at first and refills evenly, refused
    requests go first, and after a refusal nothing is sent for 15 s. It gives up after five tries; this does not."""
    left, refilled, refused = per_minute, time.monotonic(), -PAUSE_S
    fresh, again, running = iter(range(jobs)), [], set()
    job = None

    async def run(number):
        nonlocal refused
        if await post(url, number) != 200:
            refused = time.monotonic()
            again.append(number)

    while True:
        if job is None:
            job = again.pop(0) if again else next(fresh, None)
        now = time.monotonic()
        left = min(per_minute, left + per_minute * (now - refilled) / 60)
        refilled = now
        if job is not None and left >= 1:
            left -= 1
            task = asyncio.create_task(run(job))
            running.add(task)
            task.add_done_callback(running.discard)
            job = None
        if job is None and not again and not running:
            return
        await asyncio.sleep(0.001)
        pause = refused + PAUSE_S - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)


def main(arguments):
    how, url, jobs, figure = arguments
    ways = {"semaphore": semaphore, "budget": budget}
    asyncio.run(ways[how](urllib.parse.urlsplit(url), int(jobs), int(figure)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
