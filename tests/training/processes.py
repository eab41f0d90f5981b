"""Commands in processes of their own, which begin with TensorFlow imported already.

They are forked from a server that has one thread and has imported it once, since the import takes
longer than all that a test trains.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["graphcnn.cli.main", "graphcnn.training"])

PATIENCE = 240
"""Seconds after which a process is taken to hang; a busy machine may need many."""


@dataclass(frozen=True, slots=True)
class Command:
    """A ``graphcnn`` command that is running.

    Attributes:
        process: Its process.
        out: What it prints, as a file.
        err: What it says, as a file.
    """

    process: ForkServerProcess
    out: Path
    err: Path

    def kill(self, signal: int) -> None:
        """Send a signal."""
        assert self.process.pid
        os.kill(self.process.pid, signal)

    def wait(self) -> int:
        """Its exit status, once it has ended; minus a signal that ended it."""
        self.process.join(PATIENCE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise AssertionError(f"it hangs after: {self.err.read_text()}")
        return self.process.exitcode


def start(folder: Path, *arguments: object, environment: Mapping[str, str] = {}) -> Command:
    """Start ``graphcnn`` with arguments, in a folder."""
    out, err = (folder / f"{time.monotonic_ns()}.{end}" for end in ("out", "err"))
    given = ([str(argument) for argument in arguments], str(folder), dict(environment))
    process = _SERVER.Process(target=_main, args=(*given, str(out), str(err)), daemon=True)
    process.start()
    return Command(process, out, err)


def until(condition: Callable[[], bool], *running: Command) -> None:
    """Wait until something is so, while commands run."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        ended = [command for command in running if command.process.exitcode is not None]
        assert not ended, ended[0].err.read_text()
        assert time.monotonic() < deadline, "it never was so"
        time.sleep(0.02)


def cluster(count: int) -> list[dict[str, str]]:
    """The environment of each worker of a cluster on this machine, at ports that are free."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    workers = [f"127.0.0.1:{found.getsockname()[1]}" for found in sockets]
    for found in sockets:
        found.close()
    return [
        {
            "TF_CONFIG": json.dumps(
                {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
            )
        }
        for index in range(count)
    ]


def _main(
    arguments: list[str], folder: str, environment: dict[str, str], out: str, err: str
) -> None:
    from graphcnn.cli.main import main

    os.chdir(folder)
    os.environ |= environment
    for number, name in ((1, out), (2, err)):
        os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY), number)
    sys.argv = ["graphcnn", *arguments]
    main()
