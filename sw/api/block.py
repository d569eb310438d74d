"""Blocks of a model's shape with drawn weights, at full width on RTL: options in, proof out."""

import time
from dataclasses import dataclass, replace
from typing import Any

from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.sw.api.catalogue import machine_names
from ouroboros.sw.api.shared import WithMembers, WithShape
from ouroboros.sw.block.plans import tiled_plan
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.options import option
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.mapper.place import place_cores
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.models.scheme import R2, Scheme
from ouroboros.sw.models.shape import ModelShape, load_shape
from ouroboros.sw.program.program import Program
from ouroboros.sw.quantise.drawn import drawn_model, drawn_shape
from ouroboros.sw.runtime.job import Job, Progress, RequestSpec
from ouroboros.sw.runtime.scale import built_cores, load_by
from ouroboros.sw.runtime.service import BACKENDS, Served, serve_job
from ouroboros.sw.runtime.times import remember

__all__ = ["BlockOptions", "BlockRun", "run_block", "run_shape"]

EMBED_SLICES = 5
"""At most, of the embedding: all its packets start at the host's port."""
MEMBERS = 4
MOVES_PER_TILE = 20_000
VOCABULARY = 256
"""Tokens: embedding and head are there for the host to say and see something."""


@dataclass(frozen=True, kw_only=True)
class BlockOptions(WithMembers, WithShape):
    """A shape, a machine with room for it, and tokens."""

    machine: str = option("pair", names=machine_names, metavar="FILE.toml")
    """Shipped machine or path of a TOML file; its cores must compute scheme R2."""
    blocks: int = option(1, metavar="N", least=1)
    """Blocks of the shape."""
    prompt_tokens: int = option(16, metavar="N", least=1)
    """Tokens that follow each other as fast as they can."""
    tokens: int = option(4, metavar="N", least=1)
    """Tokens to generate: all but the first are alone in the machine."""
    on: str = option("golden", choices=lambda: BACKENDS)
    """What runs the program."""
    context: int | None = option(None, metavar="N", least=1)
    """Positions per sequence; by default what the machine allows, at most 256."""
    seed: int = option(0, metavar="N", least=0)
    """Of weights, prompt and placement."""

    @property
    def habit(self) -> str:
        """What the times of a run's steps depend on, for ``sw.runtime.times``."""
        return f"block {self.model} {self.blocks} {self.machine} {self.on}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BlockRun:
    """What ran, and how it compares."""

    served: Served
    """Job, result, verdict, cycle model beside RTL."""
    draw_s: float
    """Wall time of drawing the weights."""
    place_s: float
    """Of placing the cores and making their images."""

    @property
    def dies(self) -> int:
        """Dies that cores with work lie on."""
        program = self.served.program
        return len({program.machine.mesh.die_of(role.core) for role in program.roles})

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {**self.served.summary(), "model": self.served.model.shape.name,
                "blocks": self.served.model.shape.n_layers, "dies": self.dies,
                "draw_s": self.draw_s, "place_s": self.place_s}


def run_block(options: BlockOptions,
              progress: Progress = lambda what, done, total: None) -> BlockRun:
    """Draw, place and run.

    Raises
    ------
    OuroborosError
        If the blocks do not fit the machine, the tokens do not fit the context, or a tool, memory
        or disk is missing.
    """
    found = run_shape(load_machine(options.machine), load_shape(options.model), options, progress)
    if options.on != "golden":
        result = found.served.result
        remember(options.habit, {"build": result.build_s, "load": result.load_s})
    return found


def run_shape(machine: Machine, shape: ModelShape, options: BlockOptions,
              progress: Progress = lambda what, done, total: None, *,
              scheme: Scheme = R2) -> BlockRun:
    """``run_block`` with a machine and a shape that are no files, in R2 or narrower."""
    started = time.perf_counter()
    drawn = drawn_shape(shape, blocks=options.blocks, vocab_size=VOCABULARY)
    model = drawn_model(drawn, options.seed, scheme)
    draw_s = time.perf_counter() - started
    program = _placed(machine, model, options)
    place_s = time.perf_counter() - started - draw_s
    fed = options.prompt_tokens + options.tokens - 1
    if fed > program.context:
        raise OuroborosError(f"prompt_tokens and tokens must be at most {program.context + 1} "
                             f"together (the context and one), not {fed + 1}")
    # Every residue of the vocabulary in turn, since 7 divides none of its size.
    prompt = tuple((options.seed + 7 * n) % VOCABULARY for n in range(options.prompt_tokens))
    job = Job(program=program, model=model, twin=True, built=built_cores(program),
              load=load_by(program, None), observe=options.on != "icarus",
              requests=(RequestSpec(prompt=prompt, limit=options.tokens),))
    return BlockRun(served=serve_job(job, options.on, progress), draw_s=draw_s, place_s=place_s)


def _placed(machine: Machine, model: QuantModel, options: BlockOptions) -> Program:
    plan = tiled_plan(machine, model.shape, kv_heads=1, members=options.members or MEMBERS,
                      scheme=model.scheme)
    plan = replace(plan, embed=min(plan.embed, EMBED_SLICES))
    _, cores = place_cores(machine, model, plan, seed=options.seed, searches=1,
                           moves=MOVES_PER_TILE * plan.cores(options.blocks))
    return map_model(machine, model, placement=plan, cores=cores, context=options.context)
