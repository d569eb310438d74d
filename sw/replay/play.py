"""Plays a load on a machine, golden or RTL, or on the wafer model's clock."""

from dataclasses import dataclass, replace

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.mapper.placed import place_model
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.program.kv_room import with_kv_blocks
from ouroboros.sw.program.program import Program
from ouroboros.sw.replay.load import Load, ReplayError, specs
from ouroboros.sw.replay.played import Played, of_model, of_result
from ouroboros.sw.runtime.job import Job, Progress
from ouroboros.sw.runtime.scale import built_cores, is_big, load_by
from ouroboros.sw.runtime.service import backend, can_record, compare, recorded
from ouroboros.sw.runtime.waves import Waves
from ouroboros.sw.serving.options import ServingOptions
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.requests import Requests
from ouroboros.sw.wafer.run import Traffic, run
from ouroboros.sw.wafer.service import service

__all__ = ["Stage", "play", "play_machine", "play_model"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """What a load is played on."""

    machine: Machine
    """Sizes."""
    model: QuantModel
    """Integers."""
    on: str
    """``golden``, a simulator, or ``model``."""
    placement: str = "plain"
    """Layout, or a placement's file."""
    context: int | None = None
    """Positions of a sequence; None: what model and machine allow."""
    kv_blocks: int | None = None
    """KV blocks of a core; None: all."""
    ring: bool = True
    """Whether sequences begin at different members of a KV head."""
    twin: bool | None = None
    """See ``sw.runtime.service.serve``."""
    waves: Waves | None = None
    """What a simulator records."""

    @property
    def ringed(self) -> Machine:
        """The machine, its ring as it is wanted."""
        return replace(self.machine, kv=replace(self.machine.kv, ring=self.ring))

    def program(self) -> Program:
        """What runs."""
        program = place_model(self.ringed, self.model, placement=self.placement,
                              context=self.context)
        return program if self.kv_blocks is None else with_kv_blocks(program, self.kv_blocks)


def play_machine(stage: Stage, load: Load, options: ServingOptions, *, seed: int = 0,
                 cancel: float = 0.0,
                 progress: Progress = lambda what, done, total: None) -> Played:
    """Play a load on a machine, and hold every token against the golden decoder.

    Raises
    ------
    OuroborosError
        If the model does not fit, or a request is longer than the context.
    """
    if stage.waves is not None:
        can_record(stage.on)
    program, machine = stage.program(), stage.machine
    job = Job(
        program=program, model=stage.model, options=options, measured=True,
        requests=specs(load, vocab_size=program.vocab_size, context=program.context, seed=seed,
                       cancel=cancel),
        twin=is_big(machine) if stage.twin is None else stage.twin,
        load=load_by(program, None), built=built_cores(program), observe=stage.on != "icarus",
        waves=None if stage.waves is None else recorded(stage.waves, program))
    result = backend(stage.on)(job, progress)
    if result.held is None:
        raise ReplayError("the run must come to its end to be measured, but was interrupted")
    exact, _ = compare(stage.model, result.requests)
    played = of_result(load, options, stage.on, program, result)
    played.numbers["bit_exact"] = exact
    return played


def play_model(stage: Stage, load: Load, options: ServingOptions) -> Played:
    """Play a load on the wafer model of a machine.

    Raises
    ------
    ReplayError
        If the policy has what the model does not know.
    """
    if stage.waves is not None:
        can_record("model")
    known = ServingOptions(headroom_blocks=options.headroom_blocks, grain=options.grain,
                           static_tokens=options.static_tokens)
    if options != known:
        name = next(name for name in options.__slots__
                    if getattr(options, name) != getattr(known, name))
        raise ReplayError(f"{name} must be {getattr(known, name)!r} on the model, which knows "
                          f"headroom_blocks, static_tokens and grain only, not "
                          f"{getattr(options, name)!r}")
    requests = Requests(load.arrivals / 1.0, load.prompts, load.outputs, load.name)
    # Of the programs that the machine has, whatever the load.
    context = stage.context or stage.program().context
    found = service(stage.ringed, stage.model.shape, WaferOptions(), requests, context,
                    headroom_blocks=options.headroom_blocks,
                    static_tokens=options.static_tokens, grain=options.grain)
    rules = found.rules
    if stage.kv_blocks is not None:
        rules = rules._replace(blocks=stage.kv_blocks,
                               sequence_blocks=min(rules.sequence_blocks, stage.kv_blocks))
    traffic = Traffic(load.arrivals, load.prompts, load.outputs)
    return of_model(load, options, run(found.chain, rules, traffic, grain=options.grain),
                    blocks=rules.blocks, dim=stage.model.shape.dim)


def play(stage: Stage, load: Load, options: ServingOptions, *, seed: int = 0, cancel: float = 0.0,
         progress: Progress = lambda what, done, total: None) -> Played:
    """On whatever the stage says."""
    if stage.on == "model":
        if cancel:
            raise ReplayError(f"cancel must be 0 on the model, not {cancel!r}")
        return play_model(stage, load, options)
    return play_machine(stage, load, options, seed=seed, cancel=cancel, progress=progress)
