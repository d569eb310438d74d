"""The same requests on two levels: every unit of every core, and the wafer model's chain.

The chain has what it knows of the model's blocks from ``sw.block``; of the placement it gets the
mean way between stages, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from ouroboros.sw.block.cores import CoreCount
from ouroboros.sw.block.plans import PLACEMENTS, plan_layout
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.models.scheme import R
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.program.image import read_stages
from ouroboros.sw.program.program import Program
from ouroboros.sw.runtime.follow import follow_job
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.requests import of_lengths
from ouroboros.sw.wafer.service import Service

__all__ = ["Level", "levels"]

SIZES = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "head_dim",
         "gated", "positions")
TOKEN = 3
"""Any id: numbers do not change times."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """Requests that are alike and all there at once."""

    prompt: int
    """Tokens of each prompt."""
    output: int
    """Tokens that each generates."""
    requests: int
    """How many."""
    machine: int
    """Cycles until the last result, every core followed."""
    wafer: int
    """The same by the chain."""

    @property
    def error(self) -> float:
        """The chain over the machine model, minus 1."""
        return self.wafer / self.machine - 1

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {**asdict(self), "error": self.error}


def levels(program: Program, model: QuantModel,
           runs: Sequence[tuple[int, int, int]]) -> list[Level]:
    """Serve requests on both levels.

    Parameters
    ----------
    runs : sequence of tuple
        Tokens of a prompt, tokens to generate, requests; the longest must fit the program.

    Raises
    ------
    OuroborosError
        If scheme, placement or model is none that the wafer model has, or requests do not fit.
    """
    if model.scheme != R or program.placement not in PLACEMENTS:
        raise PerfError(f"levels must be of scheme {R.name} and placement {', '.join(PLACEMENTS)}, "
                        f"which the wafer model has, not {model.scheme.name} and "
                        f"{program.placement!r}")
    machine, longest = program.machine, max(prompt + output for prompt, output, _ in runs)
    shape = ModelShape(name=model.shape.name, source=model.shape.source, **{
        name: getattr(model.shape, name) for name in SIZES})
    plan = plan_layout(machine, shape, program.placement, machine.mesh.cores)
    cores = CoreCount(machine=machine, shape=shape, plan=plan, most_members=plan.members,
                      kv_heads=-(-shape.n_kv_heads // plan.kv_groups), live=machine.mesh.cores,
                      spares=0)
    overrides = dict.fromkeys(("defect_density_per_cm2", "edge_cores", "spare_cores_per_die",
                               "die_crossings_per_way"), 0.0)
    options = WaferOptions(context=longest, overrides=overrides)
    side = Wafer(machine, shape, options, count=cores).block_side
    # The assumption is in sides of a block's square.
    wafer = Wafer(machine, shape, replace(options, overrides=overrides | {
        "hops_per_block_side": _mean_links(program) / side}), count=cores)
    service, found = Service(wafer), []
    for prompt, output, count in runs:
        job = Job(program=program, model=model, requests=(RequestSpec(
            prompt=(TOKEN,) * prompt, limit=output, logits="none"),) * count)
        ends = (at for request in follow_job(job, [output] * count).requests
                for at in request.finish_times.values())
        found.append(Level(
            prompt=prompt, output=output, requests=count, machine=max(ends),
            wafer=service.serve(of_lengths(f"{prompt}:{output}", count)).cycles))
    return found


def _mean_links(program: Program) -> float:
    """Links from one stage to the next, in the mean over all flows between cores."""
    return fmean(len(route.links) - 1 for stage in read_stages(program)
                 for send in stage.sends(0) for route in send.delivery.routes
                 if route.target != program.machine.host)
