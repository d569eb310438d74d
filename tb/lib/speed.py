"""``python -m ouroboros.tb.lib.speed MACHINE``: how fast an idle machine builds and runs."""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from ouroboros.hw.cim.macro_twin import twin_verilog
from ouroboros.hw.lib.library import Library
from ouroboros.hw.mesh.die import Die
from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.tb.flow.build import build, run

__all__ = ["main", "measure"]


def measure(machine: Machine, *, twin: bool, blocks: list[str], cycles: int) -> str:
    """One line of figures; a design that was compiled before builds in no time."""
    started = time.perf_counter()
    library = Library()
    if twin:
        library.add_source("macro", twin_verilog(machine, "macro"))
    library.define("die", lambda: Die(machine, library), params=machine)
    emit_s = time.perf_counter() - started
    used = _children_s()
    built = build("die", library.sources(), sim="verilator", hier_blocks=blocks)
    build_s = _children_s() - used
    with tempfile.NamedTemporaryFile() as result:
        run(built, test_module="ouroboros.tb.lib.bench_speed",
            env={"CYCLES": str(cycles), "SPEED_RESULT": result.name})
        per_processor_s, per_wall_s = json.loads(Path(result.name).read_text())
    return (f"{machine.name}: emitted in {emit_s:.1f} s, {len(library.text()) / 1e6:.2f} MB; built "
            f"in {build_s:.0f} processor-seconds; idle {per_processor_s:.0f} cycles per "
            f"processor-second, {per_wall_s:.0f} per second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("machine")
    parser.add_argument("--bit-serial", action="store_true", help="macros, not their twins")
    parser.add_argument("--flat", action="store_true", help="without hierarchical blocks")
    parser.add_argument("--cycles", type=int, default=20000)
    arguments = parser.parse_args()
    print(measure(load_machine(arguments.machine), twin=not arguments.bit_serial,
                  blocks=[] if arguments.flat else ["tile"], cycles=arguments.cycles))


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
