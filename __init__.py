"""Ouroboros: an open wafer-scale SRAM compute-in-memory accelerator for language models.

The folders of the project are packages below this one: ``ouroboros.hw`` (hardware generator),
``ouroboros.sw`` (models, mapper, runtime, commands), ``ouroboros.tb`` (test benches and
simulators) and ``ouroboros.floorplan``.

What the commands do is here as plain functions that print nothing. Arguments are the fields of the
command's options, and what comes back is the command's result. Files that
options name are written as the commands write them. Each function imports what it needs when it is
called, so that importing the project takes no time.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ouroboros.hw.params.machine import Machine
    from ouroboros.sw.api.placing.map import Mapped
    from ouroboros.sw.api.placing.relieve import Relief
    from ouroboros.sw.api.placing.tile import Tiled
    from ouroboros.sw.api.predict import Predicted
    from ouroboros.sw.api.quantise import Quantised
    from ouroboros.sw.api.wafer.wafer import Estimated
    from ouroboros.sw.models.shape import ModelShape
    from ouroboros.sw.place.lifetime import Lifetime
    from ouroboros.sw.runtime.service import Served
    from ouroboros.tb.flow.emit import Emitted

__version__ = "0.1.0"
__all__ = ["emit", "machines", "map", "models", "predict", "quantise", "relieve", "repair", "run",
           "tile", "wafer"]


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
    from ouroboros.sw.api.call import call
    from ouroboros.sw.api.run import RunOptions, serve_prompts
    return call(RunOptions, serve_prompts, options)


def quantise(**options: Any) -> "Quantised":
    """The integer model; ``options`` are those of ``sw.api.quantise.QuantiseOptions``.

    ``ouroboros.quantise(checkpoint=Path("model.bin")).loss``
    """
    from ouroboros.sw.api.call import call
    from ouroboros.sw.api.quantise import QuantiseOptions, quantise_model
    return call(QuantiseOptions, quantise_model, options)


def predict(**options: Any) -> "Predicted":
    """Cycles of a placed model; ``options`` are those of ``sw.api.predict.PredictOptions``.

    ``ouroboros.predict(checkpoint=Path("model.bin")).prediction.prefill_cycles``
    """
    from ouroboros.sw.api.call import call
    from ouroboros.sw.api.predict import PredictOptions, predict_cycles
    return call(PredictOptions, predict_cycles, options)


def wafer(**options: Any) -> "Estimated":
    """What a full wafer would do; ``options`` are those of ``sw.api.wafer.wafer.EstimateOptions``.

    ``ouroboros.wafer(model="llama-3-8b").as_dict()["decode_tokens_per_s"]``
    """
    from ouroboros.sw.api.call import call
    from ouroboros.sw.api.wafer.wafer import EstimateOptions, estimate_wafer
    return call(EstimateOptions, estimate_wafer, options)


def tile(**options: Any) -> "Tiled":
    """A model cut into tiles; ``options`` are the fields of ``sw.api.placing.tile.TileOptions``.

    ``ouroboros.tile(model="bert-large").instance.tiles``
    """
    from ouroboros.sw.api.call import call
    from ouroboros.sw.api.placing.tile import TileOptions, tile_shape
    return call(TileOptions, tile_shape, options)


def map(**options: Any) -> "Mapped":
    """Tiles to cores; ``options`` are the fields of ``sw.api.placing.map.MapOptions``.

    ``ouroboros.map(model="bert-large", seconds=2.0).result.placement``
    """
    from ouroboros.sw.api.call import call
    from ouroboros.sw.api.placing.map import MapOptions, map_tiles
    return call(MapOptions, map_tiles, options)


def relieve(**options: Any) -> "Relief":
    """A less busy busiest link; ``options`` are those of ``sw.api.placing.relieve.RelieveOptions``.

    ``ouroboros.relieve(instance=Path("i.json"), placement=Path("p.json")).busiest_flits``
    """
    from ouroboros.sw.api.call import call
    from ouroboros.sw.api.placing.relieve import RelieveOptions, relieve_placement
    return call(RelieveOptions, relieve_placement, options)


def repair(**options: Any) -> "Lifetime":
    """Cores die, tiles step aside; ``options``: ``sw.api.placing.repair.RepairOptions``.

    ``ouroboros.repair(instance=Path("i.json"), placement=Path("p.json"), faults=5).placement``
    """
    from ouroboros.sw.api.call import call
    from ouroboros.sw.api.placing.repair import RepairOptions, repair_placement
    return call(RepairOptions, repair_placement, options)


def emit(**options: Any) -> "Emitted":
    """A machine as Verilog; ``options`` are the fields of ``tb.flow.emit.EmitOptions``.

    ``ouroboros.emit(machine="tiny", out=Path("tiny")).manifest``
    """
    from ouroboros.sw.api.call import call
    from ouroboros.tb.flow.emit import EmitOptions, write_verilog
    return call(EmitOptions, write_verilog, options)
