"""Prompts through a machine: options in, what was served out."""

from dataclasses import dataclass

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.shared import OnMachine, WithDeadLinks, WithPlacement
from ouroboros.sw.api.weights import WithTexts
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.options import option
from ouroboros.sw.noc.routes.faults import parse_links
from ouroboros.sw.place.dead import dead_cores
from ouroboros.sw.runtime.job import Progress, Waves
from ouroboros.sw.runtime.service import BACKENDS, Served, serve

__all__ = ["RunOptions", "ServeOptions", "serve_prompts"]


@dataclass(frozen=True, kw_only=True)
class ServeOptions(WithTexts, OnMachine):
    """Prompts, a model, a machine and what runs it."""

    prompts: tuple[str, ...] = option(flag="--prompt", metavar="TEXT")
    """A prompt; may be repeated, all are served together."""
    tokens: int = option(64, metavar="N", least=1)
    """Tokens to generate for each prompt at most."""
    on: str = option("golden", choices=lambda: BACKENDS)
    """What runs the program."""
    verify: str = option("last", choices=lambda: ("last", "all"))
    """Compare logits of the last prompt token and generated tokens, or of all."""
    twin: bool = option(False, off="--bit-serial")
    """Simulate the macro's behavioural twin, or its bit-serial RTL."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(WithPlacement, WithDeadLinks, ServeOptions):
    """The same around what is dead, and how it is looked at."""

    context: int | None = option(None, metavar="N", least=1)
    """Positions per sequence; by default what model and machine allow, at most 256."""
    window: int | None = option(None, metavar="N", least=1)
    """Tokens under way at most; 1 sends them one at a time."""
    waves: str | None = option(None, metavar="X,Y,CYCLE")
    """Icarus: record the core at X, Y (both from 1) and its router from a cycle on."""

    def recorded(self) -> Waves | None:
        """What ``waves`` names."""
        if self.waves is None:
            return None
        try:
            x, y, start = map(int, self.waves.split(","))
        except ValueError:
            raise OuroborosError(f"waves must be x,y,cycle, not {self.waves!r}") from None
        return Waves((x, y), start)


def serve_prompts(options: RunOptions,
                  progress: Progress = lambda what, done, total: None) -> Served:
    """Quantise, map and run.

    Raises
    ------
    OuroborosError
        If the model does not fit, a prompt is too long, a file is wrong or a tool is missing.
    """
    source = options.source()
    machine = load_machine(options.machine)
    return serve(source, machine, options.prompts, tokens=options.tokens, on=options.on,
                 placement=options.placement, context=options.context, logits=options.verify,
                 window=options.window, twin=options.twin,
                 defects=dead_cores(options.dead, machine.mesh),
                 dead_links=parse_links(options.dead_links, machine.mesh),
                 waves=options.recorded(), progress=progress)
