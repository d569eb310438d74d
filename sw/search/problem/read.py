"""Instances from JSON files, with errors that name file and key; and back."""

import json
from pathlib import Path
from typing import Any, TypeVar

from ouroboros.sw.lib import json_file
from ouroboros.sw.lib.write import write
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.problem.costs import check_totals
from ouroboros.sw.search.problem.instance import RULES, Energy, Instance, Kind, Model, Request

__all__ = ["read_instance", "write_instance"]

Made = TypeVar("Made")
WHOLE_MAX = 1 << 40
KEYS = ("grid", "kinds", "chip_kind", "link_bw", "dram_channels", "dram_bw", "energy", "model",
        "tiles", "blocks", "micro_batches")
FURTHER = ("name", "rules", "held_out", "note", "ffn_tiles", "check")


def read_instance(path: Path | str) -> Instance:
    """Read an instance of rules ``compass-ref-1``.

    Raises
    ------
    SearchError
        If the file is none, a key is missing, unknown or of a wrong value, or its totals
        (``check``) are not those of the rules; the message names file and key.
    """
    path = Path(path)
    found = json_file.read_object(path, SearchError)
    try:
        return _instance(found)
    except SearchError as error:
        raise SearchError(f"{path}: {error}") from None


def write_instance(instance: Instance, path: Path | str) -> None:
    """Write what ``read_instance`` reads, with its totals."""
    found = instance.as_dict() | {"check": check_totals(instance)}
    write(Path(path), json.dumps(found) + "\n")


def _instance(found: dict[str, Any]) -> Instance:
    if found.get("rules") != RULES:
        raise SearchError(f"key 'rules' must be {RULES!r}, "
                          f"not {json_file.shown(found.get('rules'))}")
    _known(found, KEYS, FURTHER, "")
    made = Instance(
        name=_text(found, "name") if "name" in found else "instance",
        note=_text(found, "note") if "note" in found else "",
        grid=_pair(found["grid"]),
        kinds=tuple(_made(Kind, one, f"kinds[{n}]")
                    for n, one in enumerate(_list(found["kinds"], "kinds"))),
        chip_kind=tuple(_whole(one, f"chip_kind[{n}]")
                        for n, one in enumerate(_list(found["chip_kind"], "chip_kind"))),
        link_bw=_number(found["link_bw"], "link_bw"), dram_bw=_number(found["dram_bw"], "dram_bw"),
        dram_channels=_whole(found["dram_channels"], "dram_channels"),
        energy=_made(Energy, found["energy"], "energy"),
        model=_made(Model, found["model"], "model"), tiles=_whole(found["tiles"], "tiles"),
        ffn_tiles=_whole(found.get("ffn_tiles", found["tiles"]), "ffn_tiles"),
        blocks=_whole(found["blocks"], "blocks"),
        micro_batches=tuple(
            tuple(_made(Request, one, f"micro_batches[{n}][{m}]")
                  for m, one in enumerate(_list(batch, f"micro_batches[{n}]")))
            for n, batch in enumerate(_list(found["micro_batches"], "micro_batches"))))
    if "check" in found:
        _check(made, found["check"])
    return made


def _check(instance: Instance, wanted: Any) -> None:
    if not isinstance(wanted, dict):
        raise SearchError(f"key 'check' must be an object, not {json_file.shown(wanted)}")
    totals = check_totals(instance)
    for key, value in wanted.items():
        if key not in totals:
            raise SearchError(f"check.{key} must be one of {', '.join(totals)}")
        if totals[key] != value:
            raise SearchError(f"check.{key} must be {totals[key]:,}, as the rules count, not "
                              f"{json_file.shown(value)}: the file was made by other rules")


def _known(found: dict[str, Any], keys: tuple[str, ...], further: tuple[str, ...],
           where: str) -> None:
    for key in keys:
        if key not in found:
            raise SearchError(f"key {where + key!r} is missing")
    for key in found:
        if key not in keys + further:
            raise SearchError(f"key {where + key!r} is unknown: known are "
                              f"{', '.join(keys + further)}")


def _made(cls: type[Made], found: Any, where: str) -> Made:
    """A dataclass of numbers and texts."""
    if not isinstance(found, dict):
        raise SearchError(f"{where} must be an object, not {json_file.shown(found)}")
    kinds: dict[str, type] = cls.__annotations__
    _known(found, tuple(kinds), (), f"{where}.")
    readers = {int: _whole, float: _number, str: _word}
    values = {name: readers[kind](found[name], f"{where}.{name}") for name, kind in kinds.items()}
    try:
        return cls(**values)
    except SearchError as error:
        raise SearchError(f"{where}.{error}") from None


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise SearchError(f"{where} must be a list, not {json_file.shown(value)}")
    return value


def _pair(value: Any) -> tuple[int, int]:
    pair = _list(value, "grid")
    if len(pair) != 2:
        raise SearchError(f"grid must be two whole numbers, not {json_file.shown(value)}")
    return _whole(pair[0], "grid[0]"), _whole(pair[1], "grid[1]")


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= WHOLE_MAX:
        raise SearchError(f"{where} must be a whole number of at most 2**40, "
                          f"not {json_file.shown(value)}")
    return value


def _number(value: Any, where: str) -> float:
    # NaN is no number, and no comparison with it is true.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= WHOLE_MAX:
        raise SearchError(f"{where} must be a number of at most 2**40, "
                          f"not {json_file.shown(value)}")
    return value


def _word(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise SearchError(f"{where} must be a string, not {json_file.shown(value)}")
    return value


def _text(found: dict[str, Any], key: str) -> str:
    return _word(found[key], key)
