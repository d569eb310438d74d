"""The text that ``emit`` writes is the text that the benches simulate, as it is."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.flow.backend import emit_die
from ouroboros.tb.flow.toolchain import find

CLOCKED = """\
module tb;
  reg clk = 0, rst = 1;
  wire ready, valid;
  wire [130:0] payload;
  die die(.clk(clk), .rst(rst), .host_i__valid(1'b0), .host_i__payload(131'd0),
          .host_i__ready(ready), .host_o__valid(valid), .host_o__payload(payload),
          .host_o__ready(1'b1));
  always #5 clk = ~clk;
  initial begin
    $dumpfile("waves.vcd");
    $dumpvars(0, tb);
    repeat (5) @(posedge clk);
    #1 rst = 0;
    repeat (8) @(posedge clk);
    $finish;
  end
endmodule
"""


def last_values(path: Path) -> dict[str, str]:
    """Value at the end of each signal of a waveform, by its full name."""
    codes, values, scope = {}, {}, []
    for line in path.read_text().splitlines():
        words = line.split()
        if line.startswith("$scope"):
            scope.append(words[2])
        elif line.startswith("$upscope"):
            scope.pop()
        elif line.startswith("$var"):
            codes[".".join([*scope, words[4]])] = words[3]
        elif line[:1] in ("0", "1", "x", "z"):
            values[line[1:]] = line[0]
        elif line.startswith("b"):
            values[words[1]] = words[0][1:]
    return {name: values[code] for name, code in codes.items() if code in values}


@pytest.mark.sim
@pytest.mark.parametrize("twin", [False, True])
def test_no_signal_is_undefined_in_icarus(tmp_path, twin):
    machine = load_machine("tiny")
    machine = replace(machine, mesh=replace(machine.mesh, width=2, height=1, die_width=2,
                                            die_height=1))
    sources = [tmp_path / "die.sv", tmp_path / "tb.sv"]
    sources[0].write_text("\n".join(emit_die(machine, twin=twin).values()))
    sources[1].write_text(CLOCKED)
    subprocess.run([find("icarus").path, "-g2012", "-o", "sim", *sources], cwd=tmp_path, check=True)
    subprocess.run(["vvp", "sim"], cwd=tmp_path, check=True)
    found = last_values(tmp_path / "waves.vcd")
    assert len(found) > 10_000
    assert found["tb.ready"] == "1"
    assert [name for name, value in found.items() if "x" in value] == []
