"""Runs the server until it is told to stop: SIGTERM and Ctrl-C let what is under way end first."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable

import uvicorn

from ouroboros.sw.models.chat import ChatTemplate
from ouroboros.sw.models.coder import Coder
from ouroboros.sw.runtime.job import Job
from ouroboros.sw.server.app import Service, make_app
from ouroboros.sw.server.limits import Limits, ServerError
from ouroboros.sw.server.machine import Machine

__all__ = ["run_server"]

BACKLOG = 128
"""Connections that wait to be taken."""
CONNECTIONS_PER_REQUEST = 4
"""Connections that are open at once, for each request that is taken: idle ones, pages, refusals."""


class _Server(uvicorn.Server):
    """Drains before it closes connections, so that streams under way come to their end."""

    service: Service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self.service.drain()
        await super().shutdown(sockets)


def run_server(job: Job, on: str, *, coder: Coder, template: ChatTemplate | None, name: str,
               limits: Limits, host: str, port: int, key: str | None,
               told: Callable[[str], None]) -> None:
    """Serve.

    Parameters
    ----------
    port : int
        0: any that is free.
    told : callable
        Gets the address once the machine is ready.

    Raises
    ------
    ServerError
        If the machine or the port cannot be used.
    """
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(job, on, coder, template, name, limits, host, port, key, told))


async def _serve(job: Job, on: str, coder: Coder, template: ChatTemplate | None, name: str,
                 limits: Limits, host: str, port: int, key: str | None,
                 told: Callable[[str], None]) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            raise ServerError(f"address {host} port {port}: {error.strerror or error}") from error
        machine = Machine(job, on, limits.requests)
        try:
            loop, own = asyncio.get_running_loop(), asyncio.current_task()
            assert own is not None, "this runs as a task"
            loop.add_signal_handler(signal.SIGTERM, own.cancel)
            await machine.start()
            loop.remove_signal_handler(signal.SIGTERM)
            service = Service(machine, coder, template, name, limits, key)
            server = _Server(uvicorn.Config(
                make_app(service), log_level="warning", access_log=False, lifespan="off",
                limit_concurrency=CONNECTIONS_PER_REQUEST * limits.requests + 16,
                timeout_keep_alive=5))
            server.service = service
            # Whoever reads the address may come at once.
            listening.listen(BACKLOG)
            shown = f"[{host}]" if ":" in host else host
            told(f"http://{shown}:{listening.getsockname()[1]}/")
            # uvicorn raises what it was told by again, once it has ended; that was all.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *told: None)
            await server.serve(sockets=[listening])
        finally:
            await machine.stop()
