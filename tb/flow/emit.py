"""``ouroboros emit``: Verilog of a machine, each module once, and a manifest."""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.shared import OnMachine
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.lib.digest import digest_of
from ouroboros.sw.lib.errors import FileError
from ouroboros.sw.lib.options import option
from ouroboros.sw.lib.write import check_folder, json_text, write
from ouroboros.tb.flow.backend import emit_die

__all__ = ["EmitOptions", "Emitted", "emit", "write_verilog"]

MARK = "// ouroboros emit"
"""How the Verilog file begins."""
MANIFEST = "ouroboros-emit-1"
"""Schema of the manifest."""


@dataclass(frozen=True, kw_only=True)
class EmitOptions(OnMachine):
    """A machine, and where its Verilog goes."""

    out: Path | None = option(None, written=True, mark=MARK)
    """Verilog file, by default build/NAME.v; the manifest goes beside it as .json."""
    twin: bool = False
    """Behavioural twin in place of the bit-serial macro."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Emitted:
    """A machine as Verilog, written."""

    path: Path
    """The Verilog file."""
    manifest: dict[str, Any]
    """What stands beside it."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return self.manifest


def write_verilog(options: EmitOptions, others: Mapping[str, Path | None] | None = None) -> Emitted:
    """Write a machine and its manifest.

    Parameters
    ----------
    others : Mapping[str, Path], optional
        Other files that are written, which must be none of the two; as in ``check_folder``.

    Raises
    ------
    OuroborosError
        If a file cannot be written, or is another program's.
    """
    machine = load_machine(options.machine)
    out = options.out or Path("build") / f"{machine.name}.v"
    beside = out.with_suffix(".json")
    if beside == out:
        raise FileError(f"{out}: name must not end in .json, for the manifest goes there")
    check_folder(out.parent, {out.name: MARK, beside.name: MANIFEST}, others or {})
    texts = emit_die(machine, twin=options.twin)
    whole = "\n".join([f"{MARK}: machine {machine.name}", *texts.values()])
    manifest = {
        "machine": dataclasses.asdict(machine),
        "machine_digest": digest_of(machine),
        "top": "die",
        "modules": {name: len(text) for name, text in texts.items()},
        "host_flit": {field: layout.width for field, layout in flit_layout(machine.noc)},
        "bytes": len(whole),
        "sha256": hashlib.sha256(whole.encode()).hexdigest(),
    }
    write(out, whole)
    write(beside, json_text(manifest, MANIFEST))
    return Emitted(path=out, manifest=manifest)


@command(EmitOptions)
def emit(options: EmitOptions, output: Output) -> dict[str, Any]:
    """Write a machine as Verilog; the top module is ``die``."""
    found = write_verilog(options, {"--json": output.json_path})
    output.say(f"{found.path}: {len(found.manifest['modules'])} modules, "
               f"{found.manifest['bytes'] / 1e6:.2f} MB, "
               f"sha256 {found.manifest['sha256'][:16]}")
    return found.as_dict()
