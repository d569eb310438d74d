"""Ouroboros: an open wafer-scale SRAM compute-in-memory accelerator for language models.

The folders of the project are packages below this one: ``ouroboros.hw`` (hardware generator),
``ouroboros.sw`` (models, mapper, runtime, commands), ``ouroboros.tb`` (test benches and
simulators) and ``ouroboros.floorplan``.

What the commands do is here as plain functions that print nothing. Arguments are the fields of the
command's options, and what comes back is the command's result. Each imports what it needs when it
is called, so that importing the project takes no time.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ouroboros.hw.params.machine import Machine
    from ouroboros.sw.api.map import Mapped
    from ouroboros.sw.api.wafer import Estimated
    from ouroboros.sw.models.shape import ModelShape
    from ouroboros.sw.runtime.service import Served
    from ouroboros.tb.flow.emit import Emitted

__version__ = "0.1.0"
__all__ = ["emit", "machines", "map", "models", "run", "wafer"]


def machines() -> "tuple[Machine, ...]":
    """Every machine that ships with the project."""
    from ouroboros.sw.api import catalogue
    return catalogue.machines()


def models() -> "tuple[ModelShape, ...]":
    """Every shape of a language model that ships with the project."""
    from ouroboros.sw.api import catalogue
    return catalogue.models()


def run(**options: Any) -> "Served":
    """Prompts through a machine; ``options`` are the fields of ``sw.api.run.RunOptions``.

    ``ouroboros.run(prompts=("One day",), tokens=8).texts``
    """
    from ouroboros.sw.api.run import RunOptions, serve_prompts
    from ouroboros.sw.lib.options import make
    return serve_prompts(make(RunOptions, options))


def wafer(**options: Any) -> "Estimated":
    """What a full wafer would do; ``options`` are those of ``sw.api.wafer.EstimateOptions``.

    ``ouroboros.wafer(model="llama-3-8b").as_dict()["decode_tokens_per_s"]``
    """
    from ouroboros.sw.api.wafer import EstimateOptions, estimate_wafer
    from ouroboros.sw.lib.options import make
    return estimate_wafer(make(EstimateOptions, options))


def map(**options: Any) -> "Mapped":
    """Tiles to cores; ``options`` are the fields of ``sw.api.map.MapOptions``.

    ``ouroboros.map(model="bert-large", seconds=2.0).result.placement``
    """
    from ouroboros.sw.api.map import MapOptions, map_tiles
    from ouroboros.sw.lib.options import make
    return map_tiles(make(MapOptions, options))


def emit(**options: Any) -> "Emitted":
    """A machine as Verilog; ``options`` are the fields of ``tb.flow.emit.EmitOptions``.

    ``ouroboros.emit(machine="tiny", out=Path("tiny.v")).manifest``
    """
    from ouroboros.sw.lib.options import make
    from ouroboros.tb.flow.emit import EmitOptions, write_verilog
    return write_verilog(make(EmitOptions, options))
