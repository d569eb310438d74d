"""``ouroboros emit``: Verilog of a machine, each module once, and a manifest."""

import dataclasses
import hashlib
from pathlib import Path

import click

from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.options import OutputFile, json_option, machine_option, write_json
from ouroboros.sw.lib.errors import FileError
from ouroboros.sw.lib.write import check_folder, json_text, write
from ouroboros.tb.flow.backend import emit_die

__all__ = ["emit"]

MARK = "// ouroboros emit"
"""How the Verilog file begins."""
MANIFEST = "ouroboros-emit-1"
"""Schema of the manifest."""


@click.command()
@machine_option()
@click.option("--out", type=OutputFile(MARK), metavar="FILE",
              help="Verilog file [default: build/NAME.v]; the manifest goes beside it as .json.")
@click.option("--twin", is_flag=True, help="Behavioural twin in place of the bit-serial macro.")
@json_option
def emit(machine_name: str, out: Path | None, twin: bool, json_path: Path | None) -> None:
    """Write a machine as Verilog; the top module is ``die``."""
    machine = load_machine(machine_name)
    out = out or Path("build") / f"{machine.name}.v"
    beside = out.with_suffix(".json")
    if beside == out:
        raise FileError(f"{out}: name must not end in .json, for the manifest goes there")
    check_folder(out.parent, {out.name: MARK, beside.name: MANIFEST}, {"--json": json_path})
    texts = emit_die(machine, twin=twin)
    whole = "\n".join([f"{MARK}: machine {machine.name}", *texts.values()])
    manifest = {
        "machine": dataclasses.asdict(machine),
        "top": "die",
        "modules": {name: len(text) for name, text in texts.items()},
        "host_flit": {field: layout.width for field, layout in flit_layout(machine.noc)},
        "bytes": len(whole),
        "sha256": hashlib.sha256(whole.encode()).hexdigest(),
    }
    write(out, whole)
    write(beside, json_text(manifest, MANIFEST))
    write_json(json_path, manifest)
    click.echo(f"{out}: {len(texts)} modules, {len(whole) / 1e6:.2f} MB, "
               f"sha256 {manifest['sha256'][:16]}")
