"""``ouroboros speed idle``: how fast an idle machine builds and runs."""

import json
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.hw.mesh.wafer import top_name
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.shared import OnMachine
from ouroboros.sw.api.speed import Speed
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.speed import show_speeds
from ouroboros.sw.lib.options import option
from ouroboros.tb.flow.backend import TILE
from ouroboros.tb.flow.build import build, run
from ouroboros.tb.flow.rtl import emit_die

__all__ = ["IdleSpeed", "idle", "measure"]


@dataclass(frozen=True, kw_only=True)
class IdleSpeed(OnMachine):
    """A machine that does nothing."""

    bit_serial: bool = False
    """Bit-serial macros, not their twins."""
    flat: bool = False
    """Tiles as part of the whole, not stepped by themselves."""
    cycles: int = option(20_000, metavar="N", least=1)
    """Cycles that are run."""


def measure(options: IdleSpeed) -> tuple[Speed, ...]:
    """Cycles of the machine; a design that was compiled before builds in no time."""
    machine = load_machine(options.machine)
    started = time.perf_counter()
    sources = emit_die(machine, twin=not options.bit_serial, stepped=not options.flat)
    emit_s = time.perf_counter() - started
    used = _children_s()
    built = build(top_name(machine), sources, sim="verilator",
                  stepped=None if options.flat else TILE)
    build_s = _children_s() - used
    with tempfile.NamedTemporaryFile() as result:
        run(built, test_module="ouroboros.tb.lib.bench_speed",
            env={"CYCLES": str(options.cycles), "SPEED_RESULT": result.name})
        per_processor_s, per_wall_s = json.loads(Path(result.name).read_text())
    macros = "bit-serial macros" if options.bit_serial else "twins of macros"
    return (Speed(what=f"idle {machine.name}, {macros}", unit="cycles",
                  per_processor_s=per_processor_s, per_wall_s=per_wall_s, build_s=build_s,
                  more={"emit_s": emit_s, "verilog_mb": sum(map(len, sources.values())) / 1e6}),)


@command(IdleSpeed)
def idle(options: IdleSpeed, output: Output) -> dict[str, Any]:
    """Measure how fast an idle machine builds, in processor time, and runs under Verilator."""
    return show_speeds(measure(options), output)


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
