"""What a full wafer would do with a model: options in, a frozen estimate out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.sw.api.catalogue import model_names
from ouroboros.sw.api.shared import OnWafer, WithShape
from ouroboros.sw.lib.digest import digest_of
from ouroboros.sw.lib.options import option
from ouroboros.sw.models.config_shape import any_shape
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.busiest_link import read_busiest_link
from ouroboros.sw.wafer.core_clock import read_core_clock
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.members import OBJECTIVES, estimate

__all__ = ["EstimateOptions", "Estimated", "estimate_wafer"]


@dataclass(frozen=True, kw_only=True)
class EstimateOptions(OnWafer, WithShape):
    """A model on a machine, and what is assumed."""

    model: str = option("llama-13b", names=model_names, metavar="FILE.toml|config.json")
    """Shipped shape, or path of a TOML file or of a config.json."""
    context: int = option(1024, metavar="N")
    """Tokens that every token attends to."""
    clock_ghz: float | None = option(None, metavar="F")
    """Clock; short for --set clock_ghz=F."""
    ppa: Path | None = option(None)
    """What ouroboros ppa wrote by --json: the clock of the core's slowest block, unless --clock-ghz
    gives one."""
    settings: tuple[str, ...] = option((), flag="--set", metavar="NAME=VALUE")
    """Another value for an assumption; may be repeated."""
    wafers: int = option(1, metavar="N", least=1)
    """Wafers in a row, over optical links; each has an equal share of the blocks."""
    members: int | None = option(None, metavar="N")
    """Cores that share the tokens of a KV head; by default the best for --objective."""
    objective: str = option("decode", choices=lambda: OBJECTIVES)
    """What members are chosen for: tokens/s of decode or of prefill, or room for KV."""
    mapped: Path | None = option(None)
    """What ouroboros map or relieve wrote by --json: the busiest link of the model's own
    placement."""

    def overrides(self) -> dict[str, float]:
        """Assumptions with other values."""
        found = {}
        for setting in self.settings:
            name, _, value = setting.partition("=")
            try:
                found[name] = float(value)
            except ValueError:
                raise PerfError(f"an assumption must be given as name=number, "
                                f"not {setting!r}") from None
        if self.ppa is not None:
            found["clock_ghz"] = read_core_clock(self.ppa, load_machine(self.machine))
        if self.clock_ghz is not None:
            found["clock_ghz"] = self.clock_ghz
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimated:
    """An estimate, beside those with other numbers of members."""

    best: Wafer
    """What was asked for, or is best for the objective."""
    tried: tuple[Wafer, ...]
    """All that were tried."""
    objective: str
    """What members were chosen for."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {
            "machine_digest": digest_of(self.best.machine),
            "model_digest": digest_of(self.best.shape),
            **self.best.as_dict(), "objective": self.objective, "alternatives": [
                {"members": other.members, "interval_cycles": other.interval_cycles,
                 "interval_binds": f"{other.slowest.binds} of {other.slowest.name}",
                 "prefill_tokens_per_s": other.prefill_tokens_per_s,
                 "decode_tokens_per_s": other.decode_tokens_per_s, "kv_tokens": other.kv_tokens}
                for other in self.tried]}


def estimate_wafer(options: EstimateOptions, machine: Machine | None = None) -> Estimated:
    """Tokens/s, latency, room for KV, and what binds.

    Parameters
    ----------
    machine : Machine, optional
        Instead of the one that ``options`` name.

    Raises
    ------
    OuroborosError
        If the model does not fit, or an assumption cannot have its value.
    """
    best, tried = estimate(
        machine or load_machine(options.machine), any_shape(options.model),
        WaferOptions(context=options.context, members=options.members,
                     wafers=options.wafers, objective=options.objective,
                     overrides=options.overrides(),
                     busiest_link=(None if options.mapped is None
                                   else read_busiest_link(options.mapped))))
    return Estimated(best=best, tried=tuple(tried), objective=options.objective)
