"""A server in front of a machine: options in; it runs until it is told to stop."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.catalogue import SHIPPED
from ouroboros.sw.api.serving.trace import PolicyOptions
from ouroboros.sw.api.shared import OnMachine, WithPlacement, WithScheme
from ouroboros.sw.api.weights import WithTexts
from ouroboros.sw.lib.errors import FileError, OuroborosError
from ouroboros.sw.lib.options import option
from ouroboros.sw.mapper.integers import integer_model
from ouroboros.sw.mapper.placed import place_model
from ouroboros.sw.models.chat import ChatTemplate
from ouroboros.sw.runtime.job import Job
from ouroboros.sw.runtime.scale import built_cores, is_big, load_by
from ouroboros.sw.runtime.service import BACKENDS

__all__ = ["KEY", "ServerOptions", "serve_http"]

KEY = "OUROBOROS_API_KEY"
"""Variable of the environment that may hold the API key: a command line can be seen by all."""
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class ServerOptions(PolicyOptions, WithTexts, WithScheme, WithPlacement, OnMachine):
    """A model on a machine, who may ask, and how much."""

    on: str = option("golden", choices=lambda: BACKENDS)
    """What runs the program."""
    host: str = option(LOOPBACK, metavar="ADDRESS")
    """Address to listen on; by default this computer alone can reach it."""
    port: int = option(8000, least=0, most=65535, metavar="N")
    """Port; 0: any that is free."""
    api_key_file: Path | None = option(None)
    """File with the key that clients must show; or it is in OUROBOROS_API_KEY."""
    chat_template: Path | None = option(None)
    """Jinja file of a chat template; by default the model's, or contents of messages as they
    are."""
    context: int | None = option(None, metavar="N", least=1)
    """Positions per sequence; by default what model and machine allow, at most 256."""
    twin: bool | None = option(None, off="--bit-serial")
    """Simulate the macro's behavioural twin, or its bit-serial RTL; by default the RTL on meshes of
    at most 64 cores."""
    most_requests: int = option(32, least=1, metavar="N")
    """Requests at once, those that wait included; more are told 429."""
    body_bytes: int = option(1 << 20, least=1, metavar="N")
    """Bytes of a request's body at most."""
    body_s: float = option(10.0, above=0, metavar="S")
    """Seconds until all of a request's body must have come."""
    request_s: float = option(600.0, above=0, metavar="S")
    """Seconds until a request must have ended."""
    drain_s: float = option(600.0, above=0, metavar="S")
    """Seconds that requests under way have once the server is told to stop."""

    @property
    def name(self) -> str:
        """Of the model, as clients call it."""
        return (self.checkpoint or SHIPPED).stem

    def key(self) -> str | None:
        """What clients must show.

        Raises
        ------
        OuroborosError
            If the file has none.
        """
        if self.api_key_file is None:
            return os.environ.get(KEY) or None
        try:
            found = self.api_key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(f"{self.api_key_file}: {error}") from error
        if not found:
            raise FileError(f"{self.api_key_file}: must have a key in it")
        return found


def serve_http(options: ServerOptions, told: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; ``told`` gets the address.

    Raises
    ------
    OuroborosError
        If the model does not fit, a file is wrong, or a package or the port is missing.
    """
    try:
        from ouroboros.sw.server.limits import Limits
        from ouroboros.sw.server.run import run_server
    except ModuleNotFoundError as error:
        raise OuroborosError(f"package {error.name} is missing: install the extra, as in "
                             f"pip install 'ouroboros-cim[serve]'") from error
    key = options.key()
    source, machine = options.source(), load_machine(options.machine)
    model = integer_model(source, machine, options.scheme, placement=options.placement)
    program = place_model(machine, model, placement=options.placement, context=options.context)
    job = Job(program=program, model=model, requests=(), stop_ids=model.special.stop_ids,
              options=options.policy(), twin=is_big(machine) if options.twin is None
              else options.twin, load=load_by(program, None), built=built_cores(program),
              observe=False)
    template = source.chat
    if options.chat_template is not None:
        try:
            text = options.chat_template.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(f"{options.chat_template}: {error}") from error
        template = ChatTemplate(text=text, name=str(options.chat_template))
    run_server(job, options.on, coder=source.coder, template=template, name=options.name,
               limits=Limits(requests=options.most_requests, body_bytes=options.body_bytes,
                             body_s=options.body_s, request_s=options.request_s,
                             drain_s=options.drain_s),
               host=options.host, port=options.port, key=key, told=told)
