"""A child process that does what it is told, a line of JSON at a time: both of its ends.

What runs other people's native code runs there: where that crashes or hangs, it is reported.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from .errors import GraphCNNError, RuntimeFailure

LONGEST = 300.0
"""A child that says nothing for longer than this, in seconds, hangs."""


class Crashed(RuntimeFailure):
    """A child that ended when it should have answered.

    Attributes:
        status: Its exit status; the negative number of a signal.
    """

    status = 0


class Hung(RuntimeFailure):
    """A child that did not answer in time, and was ended."""


def python(module: str, folders: Sequence[str | Path] = (), *arguments: str) -> list[str]:
    """The command of a child that calls ``serve()`` of a module.

    Args:
        module: Its name.
        folders: Where Python looks for packages first.
        arguments: What it finds in ``sys.argv``.
    """
    paths = [*map(str, folders), *sys.path]
    return [
        sys.executable,
        "-c",
        f"import sys; sys.path[:] = {paths!r}; import {module} as module; module.serve()",
        *arguments,
    ]


class Child:
    """A process that does one thing after another, and is gone when the context ends.

    Where this process dies without a word, the child's standard input closes, and it ends.

    Args:
        label: What messages call it.
        command: What starts it.
        limit: How many seconds it may take to answer.

    Attributes:
        peak_bytes: The most memory that it has held, where it says so.
    """

    def __init__(self, label: str, command: Sequence[str], limit: float = LONGEST) -> None:
        self._label, self._command, self._limit = label, command, limit
        self.peak_bytes = 0

    def __enter__(self) -> Self:
        self._said = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._kill()
        self._process.wait()
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdout.close()
        self._said.close()
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def ask(self, job: str, longer: float = 0.0, **options: Any) -> Any:
        """Have it do something, and wait for what comes of it.

        Args:
            job: What to do.
            longer: The seconds that this takes by itself, for which it is not said to hang.
            options: With what.

        Raises:
            Crashed: It died.
            Hung: It did not answer in time.
            RuntimeFailure: It cannot do that.
        """
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._kill()

        timer = threading.Timer(self._limit + longer, stop)
        timer.daemon = True
        try:
            timer.start()
            line = self._exchange(json.dumps([job, options]))
        finally:
            timer.cancel()
        if not line:
            raise self._failure(late.is_set())
        reply = json.loads(line)
        if "error" in reply:
            raise RuntimeFailure(reply["error"], hint=reply["hint"], subject=self._subject(reply))
        self.peak_bytes = reply.get("peak", 0)
        return reply["found"]

    def _exchange(self, request: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(request, file=self._process.stdin, flush=True)
            return self._process.stdout.readline()
        except BrokenPipeError:
            return ""

    def _kill(self) -> None:
        """End it and what it has started, which may hold its pipes open."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _subject(self, reply: Mapping[str, Any]) -> str | None:
        return None if self._label in reply["error"] else self._label

    def _failure(self, late: bool) -> RuntimeFailure:
        if late:
            return Hung(f"{self._label}: no answer for {self._limit:g} s, so it was ended")
        status = self._process.wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip().splitlines()
        cause = f"was killed by signal {-status}" if status < 0 else f"ended with {status}"
        hint = "signal 9 is what a system without memory sends" if status == -9 else None
        text = f"{self._label}: the process that ran it {cause}"
        failure = Crashed(f"{text}: {said[-1]}" if said else text, hint=hint)
        failure.status = status
        return failure


def serve(jobs: Mapping[str, Callable[..., Any]], explain: Callable[[Exception], str]) -> None:
    """Answer lines on standard input until it is closed; then end at once, whatever goes on.

    Args:
        jobs: What it can be told to do, by name.
        explain: What an error of somebody else's code says.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent hears it, and ends this process.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What a runtime prints is no reply.
    requests = queue.SimpleQueue[str]()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    while True:
        reply = _answer(jobs, explain, json.loads(requests.get()))
        print(json.dumps(reply), file=replies, flush=True)


def high_water() -> int:
    """The most memory that this process has held, in bytes."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most * (1 if sys.platform == "darwin" else 1024)
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def _answer(
    jobs: Mapping[str, Callable[..., Any]], explain: Callable[[Exception], str], request: list[Any]
) -> dict[str, Any]:
    name, options = request
    try:
        found = jobs[name](**options)
    except GraphCNNError as error:
        return {"error": error.message, "hint": error.hint}
    except Exception as error:
        return {"error": explain(error), "hint": None}
    return {"found": found, "peak": high_water()}


def _listen(requests: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)
