#!/usr/bin/env python3
"""Submits a job through libflowspool, waits for its outcome and prints the result. Python's standard library only.

    submit.py SPOOL WORKFLOW [KEY=VALUE]...

$LIBFLOWSPOOL names the library where the linker does not find it.
"""

import ctypes
import os
import sys

lib = ctypes.CDLL(os.environ.get("LIBFLOWSPOOL", "libflowspool.so.0"))
# What is not an int must be declared, or a pointer is cut to one.
lib.flowspool_job_new.restype = ctypes.c_void_p
lib.flowspool_error_message.restype = ctypes.c_char_p
lib.flowspool_outcome_result.restype = ctypes.c_void_p  # with its length, for it may hold any byte
lib.flowspool_outcome_error_message.restype = ctypes.c_char_p
for name in ("job_input", "job_free", "submit", "error_message", "error_free", "free", "outcome_success", "outcome_result",
             "outcome_error_message", "outcome_free"):
    getattr(lib, f"flowspool_{name}").argtypes = {
        "job_input": [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p],
        "submit": [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p],
        "outcome_result": [ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)],
    }.get(name, [ctypes.c_void_p])
lib.flowspool_wait.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


class Failed(Exception):
    """What the library says."""


def check(code, error):
    if code < 0:
        message = lib.flowspool_error_message(error).decode()
        lib.flowspool_error_free(error)
        raise Failed(message)
    return code


def submit(spool, workflow, inputs, name=None):
    """The job's name."""
    job, path, error = lib.flowspool_job_new(workflow.encode()), ctypes.c_char_p(), ctypes.c_void_p()
    try:
        for key, text in inputs.items():
            lib.flowspool_job_input(job, key.encode(), text.encode())  # what is wrong comes up below
        check(lib.flowspool_submit(spool.encode(), job, name and name.encode(), ctypes.byref(path), ctypes.byref(error)), error)
        return path.value.decode()
    finally:
        lib.flowspool_free(path)
        lib.flowspool_job_free(job)


def wait(spool, job, timeout_ms=-1):
    """The result's text; None when time ran out."""
    outcome, error, length = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_size_t()
    if check(lib.flowspool_wait(spool.encode(), job.encode(), timeout_ms, ctypes.byref(outcome), ctypes.byref(error)), error) == 0:
        return None
    try:
        if not lib.flowspool_outcome_success(outcome):
            raise Failed(lib.flowspool_outcome_error_message(outcome).decode())
        text = lib.flowspool_outcome_result(outcome, ctypes.byref(length))
        return ctypes.string_at(text, length.value).decode()
    finally:
        lib.flowspool_outcome_free(outcome)


def main(arguments):
    if len(arguments) < 2 or not all("=" in a for a in arguments[2:]):
        print(__doc__, file=sys.stderr)
        return 2
    spool, workflow = arguments[:2]
    try:
        print(wait(spool, submit(spool, workflow, dict(a.split("=", 1) for a in arguments[2:]))))
    except Failed as failed:
        print(failed, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
