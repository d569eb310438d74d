"""``ouroboros serve``: an OpenAI-compatible server in front of a machine."""

import click

from ouroboros.sw.api.serving.serve import ServerOptions, serve_http
from ouroboros.sw.cli.command import Output, command

__all__ = ["serve"]


@command(ServerOptions)
def serve(options: ServerOptions, output: Output) -> dict[str, str]:
    """Serve a model on a machine, golden or simulated, to OpenAI clients over HTTP.

    Completions and chats (/v1), Prometheus metrics (/metrics), a status page (/). SIGTERM and
    Ctrl-C let requests under way end first. Needs the extra "serve".
    """
    click.echo(f"Building and loading machine {options.machine!r} ({options.on}) ...", err=True)
    serve_http(options, lambda address: click.echo(f"Listening on {address}"))
    click.echo("Stopped.", err=True)
    return {"machine": options.machine, "on": options.on}
