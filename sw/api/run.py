"""Prompts through a machine: options in, what was served out."""

from collections.abc import Callable
from dataclasses import dataclass

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.shared import OnMachine, WithDeadLinks, WithPlacement, WithScheme
from ouroboros.sw.api.waves import WithWaves
from ouroboros.sw.api.weights import WithTexts
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.options import option
from ouroboros.sw.noc.routes.faults import parse_links
from ouroboros.sw.place.dead import dead_cores
from ouroboros.sw.runtime.faults.fault import parse_fault
from ouroboros.sw.runtime.job import IMAGE, MESH, Progress
from ouroboros.sw.runtime.sampling import Sampling
from ouroboros.sw.runtime.service import BACKENDS, Served, serve
from ouroboros.sw.runtime.times import remember

__all__ = ["RunOptions", "ServeOptions", "serve_prompts"]


@dataclass(frozen=True, kw_only=True)
class ServeOptions(WithWaves, WithTexts, WithScheme, OnMachine):
    """Prompts, a model, a machine and what runs it."""

    prompts: tuple[str, ...] = option(flag="--prompt", metavar="TEXT")
    """A prompt; may be repeated, all are served together."""
    tokens: int = option(64, metavar="N", least=1)
    """Tokens to generate for each prompt at most."""
    on: str = option("golden", choices=lambda: BACKENDS)
    """What runs the program."""
    verify: str = option("last", choices=lambda: ("last", "all"))
    """Compare logits of the last prompt token and generated tokens, or of all."""
    twin: bool | None = option(None, off="--bit-serial")
    """Simulate the macro's behavioural twin, or its bit-serial RTL; by default the RTL on meshes of
    at most 64 cores."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(WithPlacement, WithDeadLinks, ServeOptions):
    """The same with how tokens are drawn, around what is dead, and how it is looked at."""

    chat: bool = False
    """Prompts are said to an assistant, in the words of the model's chat template."""
    system: str | None = option(None, metavar="TEXT")
    """What the assistant is told before; with --chat."""
    temperature: float = option(0.0, least=0, metavar="T")
    """Draw tokens at a temperature, by the host; 0 takes the machine's likeliest."""
    top_k: int | None = option(None, least=1, metavar="N")
    """Draw from so many of the likeliest tokens only."""
    top_p: float | None = option(None, above=0, metavar="P")
    """Draw from the likeliest tokens only that have this probability together."""
    seed: int = option(0, least=0, metavar="N")
    """Of the draws, of faults too: the same seed gives the same text on every back end."""
    stop: tuple[str, ...] = option((), metavar="TEXT")
    """A text that ends a continuation and is left out; may be repeated."""
    context: int | None = option(None, metavar="N", least=1)
    """Positions per sequence; by default what model and machine allow, at most 256."""
    window: int | None = option(None, metavar="N", least=1)
    """Tokens under way at most; 1 sends them one at a time."""
    load: str | None = option(None, choices=lambda: (IMAGE, MESH))
    """Load the program by images of the cores, or through the mesh; by default through the mesh on
    meshes of at most 64 cores."""
    fault: tuple[str, ...] = option((), metavar="KIND:X,Y[:PORT[:BIT]]@CYCLE")
    """What happens to the machine while it runs: core, router, link, flip or upset, in a cycle
    from the first token on; may be repeated. It is built with fault gates, parity and a class of
    channels for ways around."""
    faults_random: int = option(0, least=0, metavar="N")
    """As many cores and links lost at random, drawn by --seed."""
    logits: bool = False
    """Write the streamed logits to --json, too."""

    def sampling(self) -> Sampling | None:
        """How the host draws tokens; None if it does not."""
        if self.temperature:
            return Sampling(temperature=self.temperature, top_k=self.top_k, top_p=self.top_p,
                            seed=self.seed)
        for name in ("top_k", "top_p", "seed"):
            if getattr(self, name) and not (name == "seed" and self.faults_random):
                raise OuroborosError(f"{name} must be given with a temperature above 0")
        return None

    @property
    def habit(self) -> str:
        """What the times of a run's steps depend on, for ``sw.runtime.times``."""
        return f"{self.machine} {self.on} {self.twin} {self.load} {self.placement}"


def serve_prompts(options: RunOptions,
                  progress: Progress = lambda what, done, total: None,
                  told: Callable[[int, str], None] | None = None) -> Served:
    """Quantise, map and run; ``told`` gets texts as they come (``sw.runtime.service.serve``).

    Raises
    ------
    OuroborosError
        If the model does not fit, a prompt is too long, a file is wrong or a tool is missing.
    """
    sampling = options.sampling()
    source = options.source()
    machine = load_machine(options.machine)
    served = serve(source, machine, options.prompts, tokens=options.tokens, on=options.on,
                   placement=options.placement, context=options.context, logits=options.verify,
                   window=options.window, twin=options.twin, load=options.load,
                   defects=dead_cores(options.dead, machine.mesh),
                   dead_links=parse_links(options.dead_links, machine.mesh),
                   waves=options.recorded(), chat=options.chat, system=options.system,
                   sampling=sampling, stops=options.stop, scheme=options.scheme,
                   faults=[*map(parse_fault, options.fault)], faults_random=options.faults_random,
                   faults_seed=options.seed, told=told,
                   progress=progress)
    if options.on != "golden":
        remember(options.habit, {"build": served.result.build_s, "load": served.result.load_s})
    return served
