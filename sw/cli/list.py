"""``ouroboros list``: names that options take."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from ouroboros.sw.api import catalogue
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import table
from ouroboros.sw.lib.options import Options, option

__all__ = ["list_command"]

KINDS = ("machines", "models", "checkpoints", "placements", "backends", "simulators")


@dataclass(frozen=True, kw_only=True)
class ListOptions(Options):
    """What is listed."""

    what: tuple[str, ...] = option((), choices=lambda: KINDS, placed=True)
    """Only these."""


@command(ListOptions, "list")
def list_command(options: ListOptions, output: Output) -> dict[str, Any]:
    """List machines, models, checkpoints, placements, back ends and simulators by name.

    Options take these names: --machine a machine, --model a model, --checkpoint a checkpoint,
    --placement a placement, "ouroboros run --on" a back end and "ouroboros noc --on" a simulator.
    """
    found: dict[str, Any] = {}
    for kind in options.what or KINDS:
        shown, found[kind] = LISTED[kind]()
        output.show(shown)
    return found


def _machines() -> tuple[Table, Any]:
    shown = table("machine", "cores", "in dies of", "macros", "macro", "flit",
                  title="--machine", right=(1, 3, 5))
    found = catalogue.machines()
    for one in found:
        shown.add_row(one.name, f"{one.mesh.cores:,}",
                      f"{one.mesh.die_width} x {one.mesh.die_height}", str(one.core.macros),
                      f"{one.cim.rows} x {one.cim.outputs}", f"{one.noc.flit_bits} bits")
    return shown, [dataclasses.asdict(one) for one in found]


def _models() -> tuple[Table, Any]:
    shown = table("model", "kind", "weights", "blocks", "width", "KV per token",
                  title="--model", right=(2, 3, 4, 5))
    found = catalogue.models()
    for one in found:
        shown.add_row(one.name, one.kind, f"{one.weight_bytes / 1e9:.2f} GB",
                      str(one.n_layers + one.n_decoder_layers), f"{one.dim:,}",
                      f"{one.kv_bytes_per_token / 1e3:,.0f} kB")
    return shown, [dataclasses.asdict(one) for one in found]


def _checkpoints() -> tuple[Table, Any]:
    shown = table("checkpoint", "what", "size", "licence", "there", right=(2,),
                  title='--checkpoint ("ouroboros fetch NAME" gets what is not there)')
    found = catalogue.checkpoints()
    for one in found:
        shown.add_row(one.name, one.words, f"{one.size_bytes / 1e6:.1f} MB", one.licence,
                      "yes" if one.there else "no")
    return shown, [dataclasses.asdict(one) | {"path": str(one.path)} for one in found]


def _placements() -> tuple[Table, Any]:
    return _words("--placement", catalogue.PLACEMENTS)


def _backends() -> tuple[Table, Any]:
    return _words("--on of run and demo", catalogue.backends())


def _simulators() -> tuple[Table, Any]:
    return _words("--on of noc", catalogue.simulators())


def _words(title: str, found: Mapping[str, str]) -> tuple[Table, Any]:
    shown = Table.grid(padding=(0, 2))
    shown.title, shown.title_justify = title, "left"
    for name, words in found.items():
        shown.add_row(name, words)
    return shown, dict(found)


LISTED = dict(zip(KINDS, (_machines, _models, _checkpoints, _placements, _backends, _simulators),
                  strict=True))
