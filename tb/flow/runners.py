"""cocotb's runners as this project uses them: every difference between the simulators is here."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cocotb_tools.runner import Icarus, Runner, Verilator

from ouroboros.tb.flow.toolchain import Tool

__all__ = ["COMPILE", "COMPILE_LONG", "COMPILE_QUICK", "COVERAGE", "VERILATE", "VERILATE_LONG",
           "VERILATE_SHARED", "IcarusRunner", "VerilatorRunner", "control_file", "trace_options"]

VERILATE = ("-Wno-fatal", "-Wno-lint", "-Wno-style", "-O3", "--noassert",
            "--x-assign", "fast", "--x-initial", "fast", "--output-split", "20000")
COMPILE = ("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1")
# For a design that is simulated once, in short runs: most of their time is the bench's.
COMPILE_QUICK = ("OPT_FAST=-O0", "OPT_SLOW=-O0", "OPT_GLOBAL=-O0")
# For long runs: twice the time to compile. Rewriting of data flow turns branches around idle logic
# into masks.
VERILATE_LONG = (*VERILATE, "-fno-dfg")
COMPILE_LONG = ("OPT_FAST=-O2", *COMPILE[1:])
# Tables that replace logic are numbered over the whole design, and rewriting of data flow finds its
# own way for each instance, so no two would have equal code.
VERILATE_SHARED = ("-fno-dfg", "-fno-table")
COVERAGE = ("--coverage-line", "--coverage-toggle")
TRACE_WIDTH = 1024
"""Bits of the widest signal that is recorded."""


def trace_options(dump: str) -> list[str]:
    """Of Verilator, for a design that can be recorded as ``fst`` or ``vcd``; none if empty."""
    return [f"--trace-{dump}", "--trace-max-width", str(TRACE_WIDTH)] if dump else []


class _ToolRunner(Runner):
    """Environment of a ``Tool``; programs in a process group of their own, which Ctrl-C spares.

    Ctrl-C is for this process, which ends them.
    """

    _tool: Tool

    def _set_env_common(self) -> None:
        super()._set_env_common()
        self.env.update(self._tool.env)

    def _execute_cmds(self, cmds, cwd, stdout=None) -> None:
        for cmd in cmds:
            process = subprocess.Popen(cmd, cwd=cwd, env=self.env, stdin=subprocess.DEVNULL,
                                       stdout=stdout, stderr=stdout and subprocess.STDOUT,
                                       process_group=0)
            try:
                process.wait()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
            if process.returncode:
                raise RuntimeError(f"Command failed with return code: {process.returncode}")


class IcarusRunner(_ToolRunner, Icarus):
    """cocotb's Icarus runner with the environment of a ``Tool``."""

    def __init__(self, tool: Tool):
        self._tool = tool
        super().__init__()

    def _simulator_in_path(self) -> None:
        """Leave the search to ``tb.flow.toolchain``."""

    def _test_command(self):
        # A design may record waves of its own accord.
        return [[word for word in command if word != "-none"]
                for command in super()._test_command()]

    def plusargs_for(self, directory: Path, dump: str) -> list[str]:
        return [f"+dumpfile_path={directory / 'waves.fst'}", *(["-fst"] if dump == "fst" else [])]

    def waves_name(self, top: str) -> str:
        return "waves.fst"


class VerilatorRunner(_ToolRunner, Verilator):
    """cocotb's Verilator runner with the ports of the top visible instead of every signal.

    The stock runner passes ``--public-flat-rw``, which keeps Verilator from optimising, and leaves
    g++ at -Os.
    """

    def __init__(self, tool: Tool, compile_: tuple[str, ...] = COMPILE):
        self._tool, self._compile = tool, compile_
        super().__init__()

    def _simulator_in_path_build_only(self) -> None:
        self.executable = str(self._tool.path)

    def _build_command(self):
        verilate, make = super()._build_command()
        verilate = [word for word in verilate if word != "--public-flat-rw"]
        make = [*make, *self._compile, *self._tool.make_args]
        if any(word.startswith("--trace-") for word in verilate):
            # The stock runner says that without its own waves there are none.
            make.append("VM_TRACE=1")
        if "--hierarchical" in verilate:
            makefile = make.index("Vtop.mk")
            make[makefile:makefile + 1] = ["Vtop_hier.mk", "hier_build"]
        return [verilate, make]

    def plusargs_for(self, directory: Path, dump: str) -> list[str]:
        return []

    def waves_name(self, top: str) -> str:
        return "dump.vcd"

    def compile_block(self, module: str, sources: list[Path], directory: Path,
                      options: list[str], log: Path) -> Path:
        """Compile a module as a class ``V`` + module; the library is in ``directory``."""
        self.env = {**os.environ, **self._tool.env}
        verilate = [str(self._tool.path), "-cc", "--top-module", module, "--prefix", f"V{module}",
                    "-Mdir", str(directory), *options, "--timescale", "1ns/1ps",
                    *map(str, sources)]
        library = directory / f"libV{module}.a"
        make = ["make", "-j", str(os.cpu_count() or 1), "-C", str(directory), "-f",
                f"V{module}.mk", library.name, *self._compile, *self._tool.make_args]
        with log.open("w") as said:
            self._execute_cmds([verilate, make], directory, said)
        return library


def control_file(top: str, sources: Mapping[str, str], blocks: tuple[str, ...],
                  shared: tuple[str, ...]) -> str:
    """Verilator control file: which ports VPI sees, which modules are compiled only once.

    The code of a shared module can be the same for every instance if it reads nothing but its own
    variables. Verilator would replace inputs by what drives them; it leaves visible ones alone.
    """
    header = re.search(rf"\bmodule\s+{top}\s*\((.*?)\);", sources[top], re.DOTALL)
    if header is None:
        raise ValueError(f"top must be a module with a list of ports, not {top!r}")
    ports = [port.split()[-1] for port in header[1].split(",")]
    return "\n".join(["`verilator_config",
                      *(f'public_flat_rw -module "{top}" -var "{port}"' for port in ports),
                      *(f'hier_block -module "{block}"' for block in blocks),
                      *(f'no_inline -module "{module}"' for module in shared),
                      *(f'public_flat_rd -module "{module}" -var "{port}"' for module in shared
                        for port in _inputs(module, sources[module]))]) + "\n"


def _inputs(module: str, text: str) -> list[str]:
    """Input ports of a module, but for its clocks."""
    body = re.search(rf"\bmodule\s+{module}\b.*?\bendmodule\b", text, re.DOTALL)
    ports = re.findall(r"\binput\s+(?:wire\s+)?(?:\[[^\]]*\]\s*)?(\w+)", body[0] if body else "")
    return [port for port in ports if not re.fullmatch(r"(\w+_)?clk", port)]
