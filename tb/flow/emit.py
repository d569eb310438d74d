"""``ouroboros emit``: Verilog of a machine, each module once, and a manifest."""

import dataclasses
import hashlib
import json
from pathlib import Path

import click

from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.options import json_option, machine_option, write_json
from ouroboros.tb.flow.backend import emit_die

__all__ = ["emit"]


@click.command()
@machine_option()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Verilog file [default: build/NAME.v]; the manifest goes beside it as .json.")
@click.option("--twin", is_flag=True, help="Behavioural twin in place of the bit-serial macro.")
@json_option
def emit(machine_name: str, out: Path | None, twin: bool, json_path: Path | None) -> None:
    """Write a machine as Verilog; the top module is ``die``."""
    machine = load_machine(machine_name)
    out = out or Path("build") / f"{machine.name}.v"
    texts = emit_die(machine, twin=twin)
    whole = "\n".join(texts.values())
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(whole)
    manifest = {
        "machine": dataclasses.asdict(machine),
        "top": "die",
        "modules": {name: len(text) for name, text in texts.items()},
        "host_flit": {field: layout.width for field, layout in flit_layout(machine.noc)},
        "bytes": len(whole),
        "sha256": hashlib.sha256(whole.encode()).hexdigest(),
    }
    out.with_suffix(".json").write_text(json.dumps(manifest, indent=2) + "\n")
    write_json(json_path, manifest)
    click.echo(f"{out}: {len(texts)} modules, {len(whole) / 1e6:.2f} MB, "
               f"sha256 {manifest['sha256'][:16]}")
