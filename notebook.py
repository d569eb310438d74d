"""The commands as plain functions, for notebooks and scripts: ``import ouroboros``."""

from typing import Any

from ouroboros.sw.api.catalogue import machines, models
from ouroboros.sw.api.map import MapOptions, Mapped, map_tiles
from ouroboros.sw.api.run import RunOptions, serve_prompts
from ouroboros.sw.api.wafer import Estimated, EstimateOptions, estimate_wafer
from ouroboros.sw.lib.options import make
from ouroboros.sw.runtime.service import Served
from ouroboros.tb.flow.emit import EmitOptions, Emitted, write_verilog

__all__ = ["emit", "machines", "map", "models", "run", "wafer"]


def run(**options: Any) -> Served:
    """Prompts through a machine; ``options`` are the fields of ``sw.api.run.RunOptions``.

    ``ouroboros.run(prompts=("One day",), tokens=8).texts``
    """
    return serve_prompts(make(RunOptions, options))


def wafer(**options: Any) -> Estimated:
    """What a full wafer would do; ``options`` are those of ``sw.api.wafer.EstimateOptions``.

    ``ouroboros.wafer(model="llama-3-8b").as_dict()["decode_tokens_per_s"]``
    """
    return estimate_wafer(make(EstimateOptions, options))


def map(**options: Any) -> Mapped:
    """Tiles to cores; ``options`` are the fields of ``sw.api.map.MapOptions``.

    ``ouroboros.map(model="bert-large", seconds=2.0).result.placement``
    """
    return map_tiles(make(MapOptions, options))


def emit(**options: Any) -> Emitted:
    """A machine as Verilog; ``options`` are the fields of ``tb.flow.emit.EmitOptions``.

    ``ouroboros.emit(machine="tiny", out=Path("tiny.v")).manifest``
    """
    return write_verilog(make(EmitOptions, options))
