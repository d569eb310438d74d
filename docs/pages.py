"""Pages made from code: instructions, packets, keys of machines and models, commands."""

import dataclasses
from collections.abc import Callable, Mapping
from enum import IntEnum, IntFlag
from pathlib import Path

import click

from ouroboros.docs.text import constants, item, members, paragraph, table
from ouroboros.hw.params import counters, isa, machine, packet
from ouroboros.hw.params.format import Format
from ouroboros.hw.params.machine import CONFIGS, Machine, load_machine
from ouroboros.sw.cli.main import cli
from ouroboros.sw.models import shape

__all__ = ["PAGES", "commands_page", "isa_page", "machine_page", "packet_page", "shape_page"]

ROOT = Path(__file__).resolve().parents[1]
MACHINES = ("tiny", "small", "detour", "die", "pair", "wafer")


def isa_page() -> str:
    """Instructions of a core, field by field."""
    texts, parts = constants(isa), [
        "# Instructions", _note("`hw/params/isa.py`"), paragraph(isa.__doc__ or ""),
        paragraph(f"Every instruction is {isa.INSTRUCTION_BITS} bits. Fields stand from the lowest "
                  "bit up; bits that no field names are 0. What an instruction does in full is in "
                  "`docs/architecture.md`.")]
    for op, text in members(isa.Op).items():
        code = isa.Op[op]
        parts += [f"## {op} ({code:d})", paragraph(text)]
        if more := texts.get(op):
            parts.append(paragraph(more))
        parts.append(_fields(isa.FORMATS[code]))
    parts.append("## Values of the fields of SFU")
    parts += [_enumeration(f"`{field}`: {kind.__name__}", kind)
              for field, kind in (("fn", isa.Fn), ("a_type, d_type", isa.Type),
                                  ("b_mode", isa.BMode), ("m_mode", isa.MMode),
                                  ("track", isa.Track))]
    return _page(parts)


def packet_page() -> str:
    """Packets, tables and counters, field by field."""
    texts = constants(packet)
    parts = ["# Packets, tables and counters",
             _note("`hw/params/packet.py` and `hw/params/counters.py`"),
             paragraph(packet.__doc__ or ""), _enumeration("Kinds of packet", packet.Kind),
             "## Routing half of a header", paragraph(texts["ROUTE"]),
             _fields(Format(packet.ROUTE))]
    for title, name in (("DATA", "DATA_HEADER"), ("WRITE, READ, REPLY", "CONFIG_HEADER"),
                        ("CREDIT", "CREDIT_HEADER")):
        fields = getattr(packet, name).fields[len(packet.ROUTE):]
        parts += [f"## Second half: {title}", paragraph(texts[name]),
                  _fields(Format(fields), first=packet.ROUTE_BITS)]
    parts += [_enumeration("Flags of a token", packet.Flag), _enumeration("Ports", packet.Port),
              _enumeration("Units that WRITE and READ reach", packet.Unit)]
    for name in ("STAGE_ENTRY", "CREDIT_ENTRY", "DEST_ENTRY", "KV_CONFIG", "LABEL_ENTRY",
                 "TRACE_ENTRY", "TABLE_ADDRESS"):
        parts += [f"## Table entry {name}", paragraph(texts[name]),
                  _fields(getattr(packet, name))]
    parts += [_enumeration("Turns of class 2", packet.Turn),
              _enumeration("Counters", counters.Counter),
              paragraph(f"A counter has {counters.COUNTER_BITS} bits. From "
                        f"{counters.Counter.STAGE0} on every stage has three: "
                        f"{', '.join(counters.STAGE_STATES)}.")]
    return _page(parts)


def machine_page() -> str:
    """Keys of a machine file: meaning, range, and values in the shipped machines."""
    shipped = {name: load_machine(name) for name in MACHINES}
    assert shipped.keys() == {path.stem for path in CONFIGS.glob("*.toml")}
    own = members(Machine)
    parts = ["# Machine files", _note("`hw/params/*.py`"),
             paragraph("A machine is a TOML file; `--machine` takes the name of a shipped one or a "
                       "path. A key without a default must be there; one that is not listed is "
                       "refused, as is a value outside its range."),
             f"- `name`: {own['name']}"]
    for part in dataclasses.fields(Machine):
        if not isinstance(part.type, type) or not dataclasses.is_dataclass(part.type):
            continue
        texts, rows = members(part.type), []
        for field in dataclasses.fields(part.type):
            default = "" if field.default is dataclasses.MISSING else field.default
            rows.append([f"`{field.name}`", default,
                         *(getattr(getattr(one, part.name), field.name)
                           for one in shipped.values())])
        parts += [f"## `{part.name}`: {own[part.name]}",
                  table(["key", "default", *shipped], rows),
                  "\n".join(item(f"`{name}`: {texts[name]}") for name in texts)]
    parts += ["## Limits between parts",
              paragraph("Checked by `hw/params/machine.py`: `core.lanes` x 32 is a multiple of "
                        "`noc.flit_bits` and of 8 x `cim.active_rows`; `cim.outputs` is a multiple "
                        "of `core.lanes`; `noc.multicast_flits` is the length of the packets that "
                        "cores send. The largest coordinate is "
                        f"{machine.COORDINATE_MAX}.")]
    return _page(parts)


def shape_page() -> str:
    """Keys of a model's shape, and the shipped shapes."""
    found = [shape.load_shape(path.stem) for path in sorted(shape.SHAPES.glob("*.toml"))]
    columns = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size")
    texts = members(shape.ModelShape)
    parts = ["# Shapes of models", _note("`sw/models/shape.py`"),
             paragraph("A shape is a TOML file with the dimensions of a model, without weights; "
                       "`--model` takes the name of a shipped one or a path."),
             "## Keys"]
    lines = []
    for field in dataclasses.fields(shape.ModelShape):
        default = "" if field.default is dataclasses.MISSING else (
            f" Default: {str(field.default).lower() or 'none'}.")
        lines.append(item(f"`{field.name}`: {texts[field.name]}{default}"))
    parts += ["\n".join(lines), "## Shipped shapes",
              table(["name", *(f"`{name}`" for name in columns)],
                    [[one.name, *(getattr(one, name) for name in columns)] for one in found]),
              "## Sources", "\n".join(item(f"{one.name}: {one.source}") for one in found)]
    if shape.ALIASES:
        parts.append(paragraph("Other names: " + ", ".join(
            f"{other} is {name}" for other, name in shape.ALIASES.items()) + "."))
    return _page(parts)


def commands_page() -> str:
    """Every command with its options, as ``--help`` shows them."""
    parts = ["# Commands", _note("the commands in `sw/cli` and those of entry points"),
             paragraph("Values in brackets are defaults. Exit codes: 2 for an error of the input, "
                       "which is one sentence on standard error; 3 where a machine differs from "
                       "the golden decoder; 130 when interrupted; else 0.")]
    _command(cli, "ouroboros", None, parts)
    return _page(parts)


def _command(command: click.Command, name: str, parent: click.Context | None,
             parts: list[str]) -> None:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    parts += [f"## `{context.command_path}`", f"```text\n{context.command_path} {usage}\n```"]
    parts += [paragraph(text) for text in (command.help or "").replace("\b\n", "").split("\n\n")]
    records = [record for param in command.get_params(context)
               if (record := param.get_help_record(context)) and "--help" not in record[0]]
    if records:
        parts.append("\n".join(item(f"`{names}`: {text.replace(f'{ROOT}/', '')}")
                               for names, text in records))
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            if (found := command.get_command(context, sub)) and not found.hidden:
                _command(found, sub, context, parts)


def _fields(form: Format, first: int = 0) -> str:
    rows, low = [], first
    for field in form.fields:
        if field.bits:
            high = low + field.bits - 1
            rows.append([f"{low}" if high == low else f"{high}..{low}", f"`{field.name}`",
                         field.bits])
        low += field.bits
    return table(["bits", "field", "width"], rows)


def _enumeration(title: str, kind: type[IntEnum | IntFlag]) -> str:
    texts = members(kind)
    lines = [item(f"`{name}` = {int(value)}" + (f": {texts[name]}" if name in texts else ""))
             for name, value in kind.__members__.items()]
    return f"## {title}\n\n" + "\n".join(lines)


def _note(source: str) -> str:
    return paragraph(f"*Made from code by `make docs`; edit {source}, not this page.*")


def _page(parts: list[str]) -> str:
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "isa.md": isa_page, "packets.md": packet_page, "machines.md": machine_page,
    "shapes.md": shape_page, "commands.md": commands_page}
"""File below ``docs/generated`` and what makes it."""
