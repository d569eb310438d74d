"""What stands beside emitted Verilog for the tools that take it: lists, constraints, waivers."""

from collections.abc import Iterable

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.wafer.assumptions import assumptions

__all__ = ["WAIVED", "constraints", "file_list", "waivers"]

WAIVED = {
    "BLKSEQ": "the macro's twin computes a step in one process, whose variables no other reads",
    "CASEINCOMPLETE": "every output of a process has a value before its case, which overrides it",
    "CMPCONST": "a comparison with a parameter that is the largest or smallest value here",
    "DECLFILENAME": "with --single one file holds all modules",
    "LATCH": "the clock gate is a latch on purpose",
    "PINCONNECTEMPTY": "outputs at the edge of the mesh lead nowhere",
    "PROCASSINIT": "registers have their reset value as initial value, too",
    "UNUSEDSIGNAL": "fields of packets, instructions and buses are nets wherever one of them is "
                    "used, for waveforms",
    "WIDTHEXPAND": "Amaranth's operands keep their widths, and Verilog extends the narrower one "
                   "as Amaranth does",
    "WIDTHTRUNC": "Amaranth cuts a result to what takes it, as Verilog does",
}
"""Rules of ``verilator --lint-only -Wall`` that do not hold, each with why that is right."""
ALIKE = ("tile", "core", "macro", "router")
"""Modules that a linter need not look at in each of their places."""


def waivers(modules: Iterable[str], *, stub: str | None = None, twin: bool = False) -> str:
    """Verilator's control file, a reason above each line.

    Parameters
    ----------
    modules : Iterable[str]
        What is written.
    stub : str, optional
        A module of it that is empty.
    twin : bool
        The macro is its twin.
    """
    lines = ["`verilator_config"]
    if stub is not None:
        lines += [f"// module {stub} is left without its inside", "lint_off -rule UNDRIVEN"]
    if twin:
        lines += ["// variables of the twin that live for one run of its process",
                  "lint_off -rule BLKSEQ"]
    for rule, reason in WAIVED.items():
        lines += [f"// {reason}", f"lint_off -rule {rule}"]
    for module in sorted({*ALIKE} & {*modules}):
        lines += ["// all its instances are alike", f'no_inline -module "{module}"']
    return "\n".join(lines) + "\n"


def file_list(names: Iterable[str]) -> str:
    """Paths, children before parents, for ``-f``."""
    return "".join(f"{name}\n" for name in names)


def constraints(machine: Machine) -> str:
    """SDC: the clock, and streams of the hosts in step with it."""
    clock = assumptions({})["clock_ghz"]
    period = 1 / clock.mid
    hosts = [f"host{n or ''}" for n in range(len(machine.mesh.hosts))]
    inputs = [port for host in hosts
              for port in (f"{host}_i__payload", f"{host}_i__valid", f"{host}_o__ready")]
    outputs = [port for host in hosts
               for port in (f"{host}_o__payload", f"{host}_o__valid", f"{host}_i__ready")]
    return "\n".join([
        f"# {clock.mid:g} GHz is an assumption ({clock.source}); no critical path was measured.",
        f"create_clock -name clk -period {period:.4f} [get_ports clk]",
        "# A fifth of a period for what is outside, at both ends.",
        *(f"set_input_delay {period / 5:.4f} -clock clk [get_ports {{{port}*}}]"
          for port in ("rst", *inputs)),
        *(f"set_output_delay {period / 5:.4f} -clock clk [get_ports {{{port}*}}]"
          for port in outputs)]) + "\n"
