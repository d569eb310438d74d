"""Servers as users start them: a process, a port of its own, real clients."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import openai
import pytest


class Server:
    """``ouroboros serve`` with options; on golden unless they say otherwise."""

    def __init__(self, folder: Path, *options: str, timeout: float = 120):
        self.log = folder / "serve.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ouroboros.sw.cli.main", "serve", "--port", "0", *options],
                stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"Listening on (http://127\.0\.0\.1:(\d+)/)\n", line)
        assert found, f"{line!r} {self.log.read_text()}"
        self.url, self.port = found[1], int(found[2])
        self.client = openai.OpenAI(base_url=f"{self.url}v1", api_key="secret", max_retries=0,
                                    timeout=timeout)

    def text(self, prompt, tokens, **options):
        """What is said after a prompt."""
        [choice] = self.client.completions.create(
            model="tales", prompt=prompt, max_tokens=tokens,
            **{"temperature": 0, **options}).choices
        return choice.text

    def end(self, number=signal.SIGTERM):
        """Tell it to stop; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def close(self):
        self.client.close()
        if self.process.poll() is None:
            self.end()
        self.process.stdout.close()


@pytest.fixture
def make_server(tmp_path):
    made = []

    def make(*options, **others):
        made.append(Server(tmp_path, *options, **others))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """With room for three requests, and for bodies of 20,000 bytes that come within a second."""
    made = Server(tmp_path_factory.mktemp("server"), "--most-requests", "3", "--body-bytes",
                  "20000", "--body-s", "1")
    yield made
    made.close()
