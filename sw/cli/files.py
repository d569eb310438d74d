"""Files that a command writes, checked before its work begins."""

import os
from pathlib import Path
from typing import Any

import click

from ouroboros.sw.lib.errors import FileError
from ouroboros.sw.lib.write import check_output, check_outputs, json_text, write

__all__ = ["CheckedContext", "OutputFile", "mark_of", "write_json"]


class OutputFile(click.Path):
    """A file to be written: refused if its folder is missing or it is someone else's.

    Parameters
    ----------
    mark : str
        What is found in the first bytes of such a file (``sw.lib.write.check_output``); without it,
        the mark of the command's results.
    suffixes : tuple[str, ...]
        What its name may end in; anything without them.
    """

    def __init__(self, mark: str = "", suffixes: tuple[str, ...] = ()) -> None:
        super().__init__(path_type=Path, dir_okay=False, writable=True)
        self.mark, self.suffixes = mark, suffixes

    def convert(self, value: Any, param: click.Parameter | None,
                ctx: click.Context | None) -> Path:
        """Path of the file."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if self.suffixes and path.suffix not in self.suffixes:
            raise FileError(f"{path}: name must end in {' or '.join(self.suffixes)}")
        check_output(path, self.mark or mark_of(ctx))
        return path


class CheckedContext(click.Context):
    """Context of a command that begins only if no file it writes is one it reads, or another."""

    def invoke(self, callback: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call the command."""
        if callback is self.command.callback:
            outputs, inputs = _files(self)
            check_outputs(outputs, inputs)
        return super().invoke(callback, *args, **kwargs)


def mark_of(ctx: click.Context | None) -> str:
    """Mark of a command's results: ``ouroboros-noc-links-1``."""
    words: list[str] = []
    while ctx is not None and ctx.parent is not None:
        words.insert(0, ctx.command.name or "results")
        ctx = ctx.parent
    return "-".join(["ouroboros", *(words or ["results"]), "1"])


def write_json(path: Path | None, results: dict[str, Any]) -> None:
    """Write results, with the mark of the command that runs, if a path was given."""
    if path is not None:
        write(path, json_text(results, mark_of(click.get_current_context(silent=True))))


def _files(ctx: click.Context) -> tuple[dict[str, Path], list[Path]]:
    outputs: dict[str, Path] = {}
    inputs: list[Path] = []
    for param in ctx.command.params:
        given = ctx.params.get(param.name or "")
        for value in given if isinstance(given, tuple) else (given,):
            if isinstance(param.type, OutputFile):
                if value is not None:
                    outputs[param.opts[0]] = value
            elif isinstance(value, str | Path) and _is_file(value):
                inputs.append(Path(value))
    return outputs, inputs


def _is_file(value: str | Path) -> bool:
    try:
        return Path(value).is_file()
    except OSError:         # text too long for a name
        return False
