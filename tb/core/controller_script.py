"""Runs a controller against a script of arrivals in Amaranth's simulator; logs what it does."""

from dataclasses import dataclass, field
from functools import cache

from ouroboros.hw.core.controller import Controller
from ouroboros.hw.params.isa import Op, disassemble
from ouroboros.hw.params.packet import CREDIT_ENTRY, DEST_ENTRY, KV_CONFIG, STAGE_ENTRY, Unit
from ouroboros.tb.lib.pysim import PySim

__all__ = ["Issue", "Log", "run_controller"]

UNITS = ("array", "sfu", "send")


@cache
def simulated(machine):
    """The controller of a machine; equal ones are built once."""
    return PySim(Controller(machine))


def zeros(fmt, **fields):
    """An entry with these fields, the others 0."""
    return fmt.pack({**dict.fromkeys((f.name for f in fmt.fields), 0), **fields})


@dataclass
class Issue:
    """An instruction that a unit took."""

    cycle: int
    unit: str
    op: Op
    fields: dict
    slot: int
    base: int
    sequence: int
    position: int
    tokens: int
    flags: int


@dataclass
class Log:
    """What the controller did."""

    found: list = field(default_factory=list)
    issues: list = field(default_factory=list)
    traces: list = field(default_factory=list)
    credits: list = field(default_factory=list)
    credit_cycles: list = field(default_factory=list)
    """Cycle of each of ``credits``."""
    active: list = field(default_factory=list)
    """By cycle, whether anything was under way."""

    def order(self, unit):
        """Sequences of the instructions that a unit took."""
        return [issue.sequence for issue in self.issues if issue.unit == unit]


def run_controller(machine, program, script, *, cycles=80, stages=None, credit_list=(), masks=(0,),
                   credits=(0, 0, 0), kv=None, latency=1, accepts=lambda unit, cycle: True,
                   credit_ready=lambda cycle: True, poison=lambda issue: False):
    """Run a program of one controller.

    ``script`` maps cycles to what arrives in them: ("token", stage, sequence, position), ("packet",
    slot, operand, flags) or ("credit", counter). ``stages``, ``credit_list``, ``masks`` (credit
    counters of destinations), ``credits`` and ``kv`` are written to its tables. A unit takes an
    instruction if ``accepts`` it and is done ``latency`` cycles later; it takes one at a time.
    """
    sim = simulated(machine)
    dut = sim.dut
    stages = stages or [{"slot_first": 0, "slot_count": 4, "base": 8, "stride": 16}]
    log = Log()

    async def write(ctx, unit, entries):
        for address, value in enumerate(entries):
            for name, content in (("valid", 1), ("unit", unit), ("address", address),
                                  ("data", value)):
                ctx.set(getattr(dut.config, name), content)
            await ctx.tick()
        ctx.set(dut.config.valid, 0)

    async def bench(ctx):
        await write(ctx, Unit.PROGRAM, program)
        await write(ctx, Unit.STAGE, [zeros(STAGE_ENTRY, **stage) for stage in stages])
        await write(ctx, Unit.CREDIT_LIST, [zeros(CREDIT_ENTRY, **entry) for entry in credit_list])
        await write(ctx, Unit.DEST, [zeros(DEST_ENTRY, credits=mask) for mask in masks])
        await write(ctx, Unit.CREDIT, credits)
        if kv:
            await write(ctx, Unit.KV, [zeros(KV_CONFIG, **kv)])
        finishing = {}
        busy = dict.fromkeys(UNITS, -1)
        for cycle in range(cycles):
            ctx.set(dut.now, cycle)
            ctx.set(dut.lookup.valid, 0)
            ctx.set(dut.arrived.valid, 0)
            ctx.set(dut.credit.valid, 0)
            for what, *values in script.get(cycle, ()):
                if what == "token":
                    ctx.set(dut.lookup.valid, 1)
                    ctx.set(dut.lookup.p, dict(zip(("stage", "sequence", "position"), values,
                                                   strict=True)))
                elif what == "packet":
                    ctx.set(dut.arrived.valid, 1)
                    ctx.set(dut.arrived.p, dict(zip(("slot", "operand", "flags"), values,
                                                    strict=True)))
                else:
                    ctx.set(dut.credit.valid, 1)
                    ctx.set(dut.credit.p.counter, values[0])
            for unit in UNITS:
                done = getattr(dut, f"done_{unit}")
                issue = finishing.get(cycle)
                if issue is not None and issue.unit != unit:
                    issue = None
                ctx.set(done.valid, issue is not None)
                if issue is not None:
                    ctx.set(done.p, {"slot": issue.slot, "poison": poison(issue)})
                stream = getattr(dut, f"issue_{unit}")
                ready = accepts(unit, cycle) and busy[unit] < cycle
                ctx.set(stream.ready, ready)
                if ctx.get(stream.valid) and ready:
                    item = ctx.get(stream.p)
                    op, fields = disassemble(item.instruction)
                    log.issues.append(Issue(cycle, unit, op, fields, item.slot, item.base,
                                            item.sequence, item.position, item.tokens,
                                            item.flags))
                    # Two units may not finish in the same cycle here, which the slots allow.
                    end = cycle + latency
                    while end in finishing:
                        end += 1
                    finishing[end] = log.issues[-1]
                    busy[unit] = end
            log.active.append(bool(ctx.get(dut.active)))
            ctx.set(dut.credit_out.ready, credit_ready(cycle))
            if ctx.get(dut.credit_out.valid) and credit_ready(cycle):
                log.credit_cycles.append(cycle)
                log.credits.append({name: ctx.get(getattr(dut.credit_out.p, name))
                                    for name in ("x", "y", "counter")})
            if ctx.get(dut.found.valid):
                found = ctx.get(dut.found.p)
                log.found.append((found.slot, found.base) if found.ok else None)
            if ctx.get(dut.trace.valid):
                log.traces.append((cycle, {name: ctx.get(getattr(dut.trace.p, name)) for name in (
                    "stage", "sequence", "position", "flags", "start")}))
            await ctx.tick()

    sim.run(bench)
    return log
