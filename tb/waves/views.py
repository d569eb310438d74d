"""Views for GTKWave and Surfer, and traces of transactions, beside a file of waves."""

import io
import re

from vcd.gtkw import GTKWFlag, GTKWSave, make_translation_filter

from ouroboros.hw.params.packet import Kind
from ouroboros.hw.params.position import Position
from ouroboros.sw.lib.write import write
from ouroboros.sw.runtime.waves import views
from ouroboros.tb.waves.groups import Shown, groups
from ouroboros.tb.waves.record import PERIOD_PS
from ouroboros.tb.waves.text_trace import write_text_trace
from ouroboros.tb.waves.timeline import write_timeline
from ouroboros.tb.waves.transactions import transactions
from ouroboros.tb.waves.wave_file import WaveFile

__all__ = ["gtkwave_view", "surfer_view", "write_views"]

TEXTS, TIMELINE = "transactions.vcd", "transactions.json"


def write_views(wave: WaveFile) -> None:
    """Write all that lies beside the waves but their description."""
    folder = views(wave.path)
    filters: dict[str, str] = {}
    write(folder / "view.gtkw", gtkwave_view(wave, filters))
    for name, text in filters.items():
        write(folder / name, text)
    write(folder / "view.sucl", surfer_view(wave))
    found = transactions(wave)
    write_text_trace(wave, found, folder / TEXTS)
    write_timeline(wave, found, folder / TIMELINE)


def gtkwave_view(wave: WaveFile, filters: dict[str, str]) -> str:
    """Saved view: ``gtkwave view.gtkw`` in the folder of views.

    Parameters
    ----------
    filters : dict
        Gets the files that name values, by name.
    """
    text = io.StringIO()
    save = GTKWSave(text)
    save.dumpfile(f"../{wave.path.name}", abspath=False)
    save.timestart(wave.first * PERIOD_PS)
    for core in wave.cores:
        known = wave.full_names(core)
        save.begin_group(f"core {core[0]},{core[1]}")
        for title, signals in groups(wave, core):
            there = [one for one in signals if one.name in known]
            if not there:
                continue
            save.begin_group(title, closed=True)
            for one in there:
                _trace(save, known[one.name], one, wave.bits(core, one.name),
                       _filter(wave, core, one, filters))
            save.end_group(title, closed=True)
        save.end_group(f"core {core[0]},{core[1]}")
    return text.getvalue()


def _trace(save: GTKWSave, name: str, one: Shown, bits: int, names: str | None) -> None:
    if one.bits is None:
        whole = f"{name}[{bits - 1}:0]" if bits > 1 else name
        save.trace(whole, alias=one.label, datafmt="hex" if names else "dec",
                   translate_filter_file=names)
    else:
        # A part of a vector: the bits that it is made of, highest first.
        first, width = one.bits
        parts = " ".join(f"({bits - 1 - bit}){name}[{bits - 1}:0]"
                         for bit in range(first + width - 1, first - 1, -1))
        flags = GTKWFlag.rjustify | (GTKWFlag.hex | GTKWFlag.ftranslated if names
                                     else GTKWFlag.dec)
        save._set_flags(flags)
        save._set_translate_filter_file(names)
        save._p(f"#{{{one.label}}} {parts}")


def _filter(wave: WaveFile, core: Position, one: Shown, filters: dict[str, str]) -> str | None:
    """Name of the file that names a signal's values; made on first use."""
    names, kind = _names(wave, core, one.names)
    if not names:
        return None
    size = one.bits[1] if one.bits else wave.bits(core, one.name)
    file = f"{kind}.{size}.txt"
    filters[file] = make_translation_filter(
        [(value, text) for value, text in names.items() if value < 1 << size], datafmt="hex",
        size=size) + "\n"
    return file


def _names(wave: WaveFile, core: Position, names: str) -> tuple[dict[int, str], str]:
    if names == "Kind":
        return {kind.value: kind.name for kind in Kind}, "kind"
    if names == "stages":
        return {index: name for (at, index), name in wave.about.stage_names.items()
                if at == core}, f"stages_{core[0]}_{core[1]}"
    found = wave.about.names.get(names, {})
    # Slots share theirs.
    return found, re.sub(r"\d+", "", names).replace("$", "_")


def surfer_view(wave: WaveFile) -> str:
    """Commands: ``surfer FILE -c view.sucl``; names of values stand in ``transactions.vcd``."""
    lines = []
    for core in wave.cores:
        known = wave.full_names(core)
        for title, signals in groups(wave, core):
            there = list(dict.fromkeys(known[one.name] for one in signals if one.name in known))
            if there:
                lines.append(f"divider_add core_{core[0]}_{core[1]}_{title.replace(' ', '_')}")
                lines += [f"variable_add {name}" for name in there]
    return "\n".join([*lines, "zoom_fit", ""])
