"""Load on a server for a while, and whether its memory grows: a client on the loopback.

``python -m ouroboros.sw.server.soak --seconds 3600`` starts a server of its own on the golden
machine; needs the extra ``serve`` and a system with ``/proc``.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Soak", "main", "resident_bytes", "soak"]

CLIENTS = 6
WARM_SHARE = 0.25
"""Of the time, after which memory is held against what it is then."""
PROMPTS = ("Once upon a time", "The dog", "One day", "In the forest there")


@dataclass(frozen=True, kw_only=True, slots=True)
class Soak:
    """What came of it."""

    requests: int
    """Answered in full."""
    left: int
    """Left by their client midway."""
    seconds: float
    """Wall time."""
    warm_bytes: int
    """Memory of the server's processes once it was warm: the most of several looks."""
    end_bytes: int
    """The same at the end."""

    @property
    def growth(self) -> float:
        """End over warm, minus 1."""
        return self.end_bytes / self.warm_bytes - 1


def resident_bytes(pid: int) -> int:
    """Memory of a process and of those that it started."""
    total, open_pids = 0, [pid]
    while open_pids:
        one = Path(f"/proc/{open_pids.pop()}")
        try:
            pages = int((one / "statm").read_text().split()[1])
            for task in (one / "task").iterdir():
                open_pids += map(int, (task / "children").read_text().split())
        except OSError:
            continue        # it has ended meanwhile
        total += pages * 4096
    return total


async def soak(port: int, pid: int, seconds: float, seed: int = 0) -> Soak:
    """Ask for so long; every fourth client leaves midway.

    Parameters
    ----------
    port : int
        Of a server on this computer.
    pid : int
        Its process.
    """
    rng, began = random.Random(seed), time.monotonic()
    counts = {"requests": 0, "left": 0}
    looks: list[tuple[float, int]] = []

    async def client() -> None:
        while time.monotonic() - began < seconds:
            leaves = rng.random() < 0.25
            whole = await _ask(port, rng.choice(PROMPTS), rng.randrange(1, 24), leaves)
            counts["requests" if whole else "left"] += 1

    async def watch() -> None:
        while time.monotonic() - began < seconds:
            looks.append((time.monotonic() - began, resident_bytes(pid)))
            await asyncio.sleep(seconds / 64)

    await asyncio.gather(watch(), *(client() for _ in range(CLIENTS)))
    warm = [size for at, size in looks if WARM_SHARE <= at / seconds <= 2 * WARM_SHARE]
    last = [size for at, size in looks if at / seconds >= 1 - WARM_SHARE]
    return Soak(**counts, seconds=time.monotonic() - began, warm_bytes=max(warm),
                end_bytes=max(last))


async def _ask(port: int, prompt: str, tokens: int, leaves: bool) -> bool:
    """One streamed request; whether it came to its end."""
    body = json.dumps({"model": "tales", "prompt": prompt, "max_tokens": tokens,
                       "stream": True}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                     b"content-length: %d\r\n\r\n%s" % (len(body), body))
        async for line in reader:
            if leaves and line.startswith(b"data: "):
                return False
            if line.startswith(b"data: [DONE]"):
                return True
        return False
    finally:
        writer.close()


def main() -> int:
    """Run it; exit code 1 if memory grew by more than a twentieth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600.0)
    seconds = parser.parse_args().seconds
    with subprocess.Popen([sys.executable, "-m", "ouroboros.sw.cli.main", "serve", "--port", "0"],
                          stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None, "it is a pipe"
        port = int(server.stdout.readline().rstrip("/\n").rpartition(":")[2])
        try:
            found = asyncio.run(soak(port, server.pid, seconds))
        finally:
            server.terminate()
    print(f"{found.requests} requests answered, {found.left} left midway in {found.seconds:.0f} s; "
          f"memory {found.warm_bytes / 1e6:.1f} MB warm, {found.end_bytes / 1e6:.1f} MB at the "
          f"end ({found.growth:+.2%})")
    return int(found.growth > 0.05)


if __name__ == "__main__":
    sys.exit(main())
