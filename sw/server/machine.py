"""A machine that serves, in a process of its own, and its answers as they come."""

import asyncio
import contextlib
import json
import multiprocessing
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.runtime.job import Job
from ouroboros.sw.runtime.service import backend
from ouroboros.sw.server.ask import Ask, Refused
from ouroboros.sw.server.limits import ServerError

__all__ = ["Answer", "Machine"]

LINE_BYTES = 1 << 20
"""Of a message from the machine."""
STOP_S = 30.0
"""Until a machine that is told to stop must have; then it is killed."""
POLL_S = 0.2


@dataclass(slots=True, eq=False)
class Answer:
    """Tokens of a request as they come."""

    id: str
    """Name of the request."""
    ask: Ask
    """What was asked for."""
    began: float = field(default_factory=time.monotonic)
    """When."""
    finished: str | None = None
    """Why it ended; None while it has not, or if the machine stopped."""
    count: int = 0
    """Tokens generated."""
    preemptions: int = 0
    """How often it gave way."""
    first_s: float | None = None
    """Seconds to the first token."""
    _queue: asyncio.Queue[int | None] = field(default_factory=asyncio.Queue)

    def put(self, token: int | None) -> None:
        """A token, or None: the end."""
        if token is not None:
            self.count += 1
            if self.first_s is None:
                self.first_s = time.monotonic() - self.began
        self._queue.put_nowait(token)

    async def tokens(self, seconds: float) -> AsyncIterator[int]:
        """Every token until the end.

        Raises
        ------
        TimeoutError
            If it has not come so many seconds after the beginning.
        """
        while True:
            left = self.began + seconds - time.monotonic()
            token = await asyncio.wait_for(self._queue.get(), left)
            if token is None:
                return
            yield token


class Machine:
    """Requests in, tokens out.

    Parameters
    ----------
    job : Job
        Program, model and policy; its requests are those that come.
    on : str
        Name of a back end.
    limit : int
        Requests at once.
    """

    def __init__(self, job: Job, on: str, limit: int):
        self.job, self.on, self.limit = job, on, limit
        self.state: dict[str, Any] = {}
        """What the machine said last of itself; see ``sw.runtime.attend.state_of``."""
        self.answers: dict[str, Answer] = {}
        self.stopped = False
        self.told_ended: Callable[[Answer], None] = lambda answer: None
        """Called with every answer that has ended."""
        self._process: Any = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def capacity(self) -> int:
        """Tokens that a sequence may have: the context, and what KV there is for one alone."""
        program = self.job.program
        return min(program.context, program.kv_sequence_blocks * program.kv_members
                   * program.machine.block_tokens)

    async def start(self) -> None:
        """Build, load and wait until it is ready.

        Raises
        ------
        ServerError
            If it stops before.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="ouroboros-")
        path = str(Path(self._folder.name) / "door")
        arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        door = await asyncio.start_unix_server(
            lambda reader, writer: arrived.put_nowait((reader, writer)), path, limit=LINE_BYTES)
        # A fresh interpreter: what is forked of a process with threads may hang.
        context = multiprocessing.get_context("spawn")
        self._failure, failed = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_run, args=(replace(self.job, requests=(), door=path, observe=False), self.on,
                               failed), daemon=False)
        self._process.start()
        failed.close()
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                reader, self._writer = await asyncio.wait_for(arrived.get(), POLL_S)
                break
            if not self._process.is_alive():
                door.close()
                raise ServerError(self._why())
        door.close()
        self.state = json.loads(await reader.readline())["state"]
        self._reading = asyncio.create_task(self._read(reader))

    def _why(self) -> str:
        with contextlib.suppress(EOFError, OSError):
            if self._failure.poll():
                return str(self._failure.recv())
        return f"the machine stopped with exit code {self._process.exitcode}"

    def submit(self, name: str, ask: Ask) -> Answer:
        """Hand a request over.

        Raises
        ------
        Refused
            If the machine has stopped, there is no room for it, or its name is in use.
        """
        if self.stopped or self._writer is None:
            raise Refused("the machine has stopped", status=503, code="machine_stopped")
        if name in self.answers:
            raise Refused(f"request id must be another than that of a request under way, not "
                          f"{name!r}", status=409, code="duplicate_id")
        if len(self.answers) >= self.limit:
            raise Refused(f"{self.limit} requests are under way, as many as are taken: try again",
                          status=429, code="rate_limit_exceeded", retry_s=self.retry_s())
        answer = self.answers[name] = Answer(name, ask)
        self._send(do="submit", id=name, prompt=ask.prompt, limit=ask.limit, priority=ask.priority,
                   sampling=None if ask.sampling is None else asdict(ask.sampling))
        return answer

    def retry_s(self) -> int:
        """About when a place will be free: once the oldest request has taken as long again."""
        oldest = min((one.began for one in self.answers.values()), default=time.monotonic())
        return max(1, min(60, round(time.monotonic() - oldest)))

    def cancel(self, name: str, why: str = "cancelled") -> bool:
        """Give a request up; whether there is such a one."""
        if name not in self.answers:
            return False
        self._send(do="cancel", id=name, why=why)
        return True

    async def stop(self) -> None:
        """Close the door and wait for the process."""
        self.stopped = True
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None:
            self._reading.cancel()
        if self._process is not None:
            if self._writer is None:
                self._process.terminate()
            end = time.monotonic() + STOP_S
            while self._process.is_alive() and time.monotonic() < end:
                await asyncio.sleep(0.02)
            if self._process.is_alive():
                self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None
            self._failure.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _send(self, **message: Any) -> None:
        assert self._writer is not None, "the machine has not started"
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            answer = self.answers.get(message.get("id", ""))
            if message["do"] == "state":
                self.state = message["state"]
            elif answer is not None and message["do"] == "token":
                answer.put(message["token"])
            elif answer is not None:
                answer.finished, answer.preemptions = message["finished"], message["preemptions"]
                self._end(answer)
        self.stopped = True
        for answer in list(self.answers.values()):
            self._end(answer)

    def _end(self, answer: Answer) -> None:
        del self.answers[answer.id]
        answer.put(None)
        self.told_ended(answer)


def _run(job: Job, on: str, failed: Any) -> None:
    """The machine's process: it ends when the door is closed; a terminal's Ctrl-C is the server's.

    Terminated while it builds, it ends the compilers that it has started.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        backend(on)(job, lambda what, done, total: None)
    except KeyboardInterrupt:
        raise SystemExit(1) from None
    except OuroborosError as error:
        failed.send(str(error))
        raise SystemExit(2) from None
