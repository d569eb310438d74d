"""``ouroboros emit``: a folder with the Verilog of a machine and what tools need beside it."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ouroboros.hw.cim.macro_twin import twin_verilog
from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.sw.api.catalogue import machine_names
from ouroboros.sw.api.shared import OnMachine, WithDead
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.watch import Watch
from ouroboros.sw.lib.digest import digest_of
from ouroboros.sw.lib.folders import cache_folder
from ouroboros.sw.lib.options import option
from ouroboros.sw.lib.write import json_text
from ouroboros.sw.place.dead import dead_cores
from ouroboros.tb.emit.beside import constraints, file_list, waivers
from ouroboros.tb.emit.blackbox import lef, liberty, reachable, stub
from ouroboros.tb.emit.connectivity import Checked, check_connectivity
from ouroboros.tb.emit.folder import SCHEMA, check_ours, fill, sha256
from ouroboros.tb.emit.netlist import read_module
from ouroboros.tb.flow.rtl import emit_die

__all__ = ["EmitOptions", "Emitted", "emit", "write_verilog"]

MACRO = "macro"
BLACK = ("none", MACRO, "tile")
"""Modules that may be left to a flow, or to a run of a tool of their own."""


@dataclass(frozen=True, kw_only=True)
class EmitOptions(WithDead, OnMachine):
    """A machine, and where its Verilog goes."""

    machine: str = option("small", names=machine_names, metavar="FILE.toml", placed=True)
    """Shipped machine or path of a TOML file."""
    out: Path | None = option(None, path="folder")
    """Folder, by default build/emit/NAME of a working copy, else in the cache folder; it must be
    new, empty, or written by this command."""
    single: bool = False
    """One file for all modules."""
    twin: bool = False
    """Behavioural twin in place of the bit-serial macro."""
    blackbox: str = option("none", choices=lambda: BLACK)
    """A module without its inside; of the macro also a model to simulate, LEF and Liberty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Emitted:
    """A machine as Verilog, written."""

    path: Path
    """The folder."""
    manifest: dict[str, Any]
    """What stands in it."""
    checked: Checked
    """What the reader of the text found connected."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return self.manifest


def write_verilog(options: EmitOptions, others: Mapping[str, Path | None] | None = None,
                  progress: Callable[[str, int, int], None] = lambda *step: None) -> Emitted:
    """Write a machine, check its connections, and list what was written.

    Parameters
    ----------
    others : Mapping[str, Path], optional
        Other files that are written, which must be none of these; as in ``check_ours``.
    progress : Callable[[str, int, int], None], optional
        Told of a step, how much of it is done, and of how much.

    Raises
    ------
    OuroborosError
        If a file cannot be written, or the folder holds another program's.
    """
    machine = load_machine(options.machine)
    mesh = machine.mesh
    dead = [(core % mesh.width + 1, core // mesh.width + 1)
            for core in dead_cores(options.dead, mesh)]
    out = options.out or cache_folder(f"emit/{machine.name}")
    check_ours(out, others or {})
    texts = emit_die(machine, twin=options.twin, dead=dead, progress=lambda done, total: progress(
        "Converting modules", done, total))
    checked = check_connectivity(texts, machine, dead)
    kept = _kept(texts, options)
    files = _files(machine, texts, kept, options)
    listed = _manifest(machine, kept, checked, options, files)
    fill(out, files, json_text(listed, SCHEMA))
    return Emitted(path=out, manifest={"schema": SCHEMA, **listed}, checked=checked)


@command(EmitOptions)
def emit(options: EmitOptions, output: Output) -> dict[str, Any]:
    """Write a machine as Verilog: a file for each module, manifest, file list, lint waivers, SDC.

    The text is that which the benches simulate. Its connections are read back from it: every link
    is driven once and leads to the right neighbour.
    """
    with Watch() as watch:
        found = write_verilog(options, {"--json": output.json_path}, watch.progress)
    checked, manifest = found.checked, found.manifest
    output.say(f"{found.path}: {len(manifest['modules'])} modules, {manifest['bytes'] / 1e6:.2f} "
               f"MB, top {manifest['top']}, sha256 {manifest['sha256'][:16]}")
    output.say(f"{checked.tiles:,} tiles, {checked.links:,} links, {checked.die_links:,} of them "
               f"over borders of dies, {len(checked.edge_ports)} edge ports")
    return found.as_dict()


def _kept(texts: Mapping[str, str], options: EmitOptions) -> dict[str, str]:
    """Modules that are written: all, or those above and beside a stub."""
    if options.blackbox == "none":
        return dict(texts)
    kept = {**texts, options.blackbox: stub(texts[options.blackbox])}
    used = reachable({name: read_module(text) for name, text in kept.items()}, list(texts)[-1])
    return {name: text for name, text in kept.items() if name in used}


def _files(machine: Machine, texts: Mapping[str, str], kept: Mapping[str, str],
           options: EmitOptions) -> dict[str, str]:
    """Text of every file but the manifest, by name."""
    head = (f"// SPDX-License-Identifier: Apache-2.0\n// ouroboros emit "
            f"{metadata.version('ouroboros-cim')}, machine {machine.name}, digest "
            f"{digest_of(machine)[:16]}\n")
    black, files = options.blackbox, {}
    if black == MACRO:
        files |= {f"{MACRO}_model.v": head + twin_verilog(machine, MACRO),
                  f"{MACRO}.lib": liberty(texts[MACRO], machine),
                  f"{MACRO}.lef": lef(texts[MACRO], machine)}
    if options.single:
        verilog = {f"{machine.name}.v": head + "\n".join(kept.values())}
    else:
        verilog = {f"{name}.v": head + text for name, text in kept.items()}
    return {**verilog, **files, "filelist.f": file_list(verilog),
            "waivers.vlt": waivers(kept, twin=options.twin,
                                   stub=None if black == "none" else black),
            f"{machine.name}.sdc": constraints(machine)}


def _manifest(machine: Machine, texts: Mapping[str, str], checked: Checked, options: EmitOptions,
              files: Mapping[str, str]) -> dict[str, Any]:
    whole = "".join(files.values())
    modules = {}
    for name, text in texts.items():
        module = read_module(text)
        modules[name] = {
            "ports": [{"name": port, "direction": way, "width": width}
                      for port, (way, width) in module.ports.items()],
            "instances": {inner: kind for inner, (kind, _) in module.placed.items()},
            "parameters": {}, "sha256": sha256(text)}
    return {
        "machine": dataclasses.asdict(machine), "machine_digest": digest_of(machine),
        "version": metadata.version("ouroboros-cim"), "licence": "Apache-2.0",
        "top": list(texts)[-1], "twin": options.twin, "blackbox": options.blackbox,
        "modules": modules,
        "host_flit": {field: layout.width for field, layout in flit_layout(machine.noc)},
        "edge_ports": [{"x": x, "y": y, "host": host or None}
                       for (x, y), host in sorted(checked.edge_ports.items())],
        "tiles": checked.tiles, "links": checked.links, "die_links": checked.die_links,
        "files": {name: {"bytes": len(text.encode()), "sha256": sha256(text)}
                  for name, text in files.items()},
        "bytes": len(whole.encode()), "sha256": sha256(whole)}
