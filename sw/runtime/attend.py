"""Requests that come through a door while the machine runs: what a server talks to.

The door is a Unix socket, one JSON object a line. To the machine: ``submit`` (``id``, ``prompt``,
``limit``, ``priority``, ``sampling``), ``cancel`` (``id``, ``why``). From it: ``ready``, ``token``
(``id``, ``token``), ``end`` (``id``, ``finished``), ``state``. While nothing is asked for, time of
the machine stands still. It ends when the door is closed.

Both sides are this project's: what a client says is checked before it comes here.
"""

import json
import select
import socket
from collections.abc import Mapping
from typing import Any

from ouroboros.sw.runtime.engine import Engine, Request
from ouroboros.sw.runtime.sampling import Logits, Sampling, next_token

__all__ = ["Door", "attend", "state_of"]

STATE_STEPS = 64
"""Packets from one message about the state to the next, at least."""
READ_BYTES = 1 << 16


class Door:
    """The machine's side of the socket."""

    def __init__(self, path: str):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(path)
        self._rest = b""
        self.closed = False

    def say(self, **message: Any) -> None:
        """Send a message; one that nobody reads any more closes the door."""
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self.closed = True

    def hear(self, *, wait: bool) -> list[dict[str, Any]]:
        """Messages that have come; with ``wait`` at least one, or the door is closed."""
        found: list[dict[str, Any]] = []
        while not self.closed:
            ready, _, _ = select.select([self._socket], [], [], None if wait else 0)
            if not ready:
                break
            try:
                got = self._socket.recv(READ_BYTES)
            except OSError:
                got = b""
            if not got:
                self.closed = True
                break
            *lines, self._rest = (self._rest + got).split(b"\n")
            found += map(json.loads, lines)
            wait = wait and not found
        return found

    def close(self) -> None:
        """Close it."""
        self._socket.close()


async def attend(engine: Engine, path: str) -> None:
    """Serve what comes through the door until it is closed; what is under way then is given up."""
    door = Door(path)
    guests = _Guests(engine, door)
    door.say(do="ready", state=state_of(engine))
    steps = 0
    while True:
        for message in door.hear(wait=engine.scheduler.idle):
            guests.take(message)
        if door.closed:
            guests.leave()
            break
        if not engine.scheduler.idle:
            await engine.step()
            steps += 1
        if guests.sweep() or steps >= STATE_STEPS:
            door.say(do="state", state=state_of(engine))
            steps = 0
    while not engine.scheduler.idle:
        await engine.step()
    door.close()


def state_of(engine: Engine) -> dict[str, Any]:
    """What the host knows of its machine."""
    scheduler = engine.scheduler
    book = scheduler.book
    alive = [(one.id, one.request.length) for one in scheduler.active]
    return {
        "cycles": engine.link.cycles, "injected": scheduler.injected,
        "flying": scheduler.flying, "waiting": len(scheduler.waiting),
        "kv_held": book.held(alive), "kv_blocks": book.blocks,
        "sequences": [{
            "sequence": one.id, "prompt_tokens": one.request.prompt_tokens,
            "generated": one.request.generated, "next": one.next, "flying": len(one.flying),
            "preemptions": one.request.preemptions, "leaving": one.leaving}
            for one in scheduler.active]}


class _Guests:
    """Requests of whoever stands before the door."""

    def __init__(self, engine: Engine, door: Door):
        self.engine, self.door = engine, door
        self._requests: dict[str, Request] = {}
        self._names: dict[int, str] = {}
        self._samplings: dict[int, Sampling] = {}
        engine.choose, engine.on_token = self._choose, self._said

    def take(self, message: Mapping[str, Any]) -> None:
        """Do as a message says; of a request that has ended meanwhile there is nothing to do."""
        name = message["id"]
        if message["do"] == "cancel":
            if name in self._requests:
                self._requests[name].cancel(message["why"])
            return
        request = self.engine.submit(message["prompt"], limit=message["limit"],
                                     priority=message.get("priority", 0))
        self._requests[name], self._names[id(request)] = request, name
        if message.get("sampling") is not None:
            self._samplings[id(request)] = Sampling(**message["sampling"])

    def sweep(self) -> bool:
        """Tell of requests that have ended; whether there were any."""
        ended = [(name, request) for name, request in self._requests.items() if request.finished]
        for name, request in ended:
            del self._requests[name], self._names[id(request)]
            self._samplings.pop(id(request), None)
            self.door.say(do="end", id=name, finished=request.finished,
                          preemptions=request.preemptions, recomputed=request.recomputed)
        return bool(ended)

    def leave(self) -> None:
        """All of them go."""
        for request in self._requests.values():
            request.cancel()

    def _choose(self, request: Request, position: int, logits: Logits) -> int:
        # A seed is the request's own, so its draws depend on nothing else.
        return next_token(self._samplings.get(id(request)), logits, 0, position)

    def _said(self, request: Request, token: int) -> None:
        request.vectors.clear()
        self.door.say(do="token", id=self._names[id(request)], token=token)
