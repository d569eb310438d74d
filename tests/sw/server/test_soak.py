"""Load for a while: nothing that was served stays in memory."""

import asyncio
import os
import urllib.request

import pytest

from ouroboros.sw.server.soak import resident_bytes, soak


def test_memory_of_a_process_and_its_children():
    assert resident_bytes(os.getpid()) > 10_000_000
    assert resident_bytes(2**22 + 1) == 0


@pytest.mark.slow
def test_no_growth_of_memory(make_server):
    server = make_server()
    found = asyncio.run(soak(server.port, server.process.pid, 120))
    assert found.requests > 20 and found.left > 3
    assert found.growth < 0.05, found
    with urllib.request.urlopen(f"{server.url}metrics", timeout=60) as answer:
        text = answer.read().decode()
    assert "ouroboros_kv_blocks_held 0.0" in text
