"""A machine that loses credits, for ``docs/waves.md``: ``python -m ouroboros.tb.waves.planted``.

The bug is in the text that is simulated, not in the hardware: a router gives no credit back for a
flit of the data channel that leaves its buffer while the last flit of a packet comes in. So links
run out of credits until flits no longer overlap, and the machine is slow, but right.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ouroboros.hw.mesh.wafer import top_name
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Port
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.models.checkpoint import Checkpoint, Layer
from ouroboros.sw.models.decoder_shape import DecoderShape
from ouroboros.sw.models.special import LLAMA2C
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.job import Job, JobResult, RequestSpec
from ouroboros.sw.runtime.service import compare, recorded
from ouroboros.sw.runtime.waves import Waves, parse_cores, parse_window
from ouroboros.tb.flow.backend import run_job, with_recorder
from ouroboros.tb.flow.build import build
from ouroboros.tb.flow.rtl import emit_die
from ouroboros.tb.waves.credits import accounts
from ouroboros.tb.waves.picture import Row, picture
from ouroboros.tb.waves.wave_file import WaveFile

__all__ = ["LOST", "PICTURES", "break_credits", "draw", "main", "planted_job", "run_planted"]

SHAPE = {"dim": 32, "hidden_dim": 40, "n_layers": 1, "n_heads": 4, "n_kv_heads": 2,
         "vocab_size": 40, "seq_len": 64}
PROMPT = tuple(range(3, 11))
WINDOW, CORES = "1520:", "1,1;2,1"
"""What is recorded: from the end of loading on, the first two cores."""
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
LOST = re.compile(r"(\[0\] = )(freed);")
"""The credit of channel 0 in the input of a router."""


def break_credits(sources: Mapping[str, str]) -> dict[str, str]:
    """The modules of a machine with the bug in them."""
    text, count = LOST.subn(r"\1\2 & ~(link__valid & link__flit$tail);", sources["router_input"])
    if count != 1:
        raise ValueError(f"router_input must give back one credit of channel 0, not {count}")
    return {**sources, "router_input": text}


def planted_job(path: Path, window: str = WINDOW, cores: str = CORES) -> Job:
    """A prompt for machine ``tiny``, and what is recorded of it."""
    model = quantise(_drawn())
    program = map_model(load_machine("tiny"), model, placement="plain")
    waves = Waves(path=path, window=parse_window(window), cores=parse_cores(cores))
    return Job(program=program, model=model, twin=True, observe=False,
               requests=(RequestSpec(prompt=PROMPT, limit=2, logits="all"),),
               waves=recorded(waves, program))


def _drawn() -> Checkpoint:
    """Weights that mean nothing."""
    shape, rng = DecoderShape(**SHAPE), np.random.default_rng(0)

    def draw(*size: int) -> np.ndarray:
        if len(size) == 1:
            return rng.uniform(0.5, 1.5, size).astype(np.float32)
        return (rng.standard_normal(size) / np.sqrt(size[-1])).astype(np.float32)

    layers = tuple(Layer(**{name: draw(*size) for name, size in shape.layer_shapes().items()})
                   for _ in range(shape.n_layers))
    embedding = draw(shape.vocab_size, shape.dim) * np.float32(np.sqrt(shape.dim))
    return Checkpoint(shape=shape, embedding=embedding, layers=layers, head=embedding, tied=True,
                      special=LLAMA2C, final_norm=draw(shape.dim))


def run_planted(job: Job) -> JobResult:
    """Run it, with the bug, under Icarus."""
    machine = job.program.machine
    sources = with_recorder(break_credits(emit_die(machine, twin=True)), machine, job.waves,
                            "icarus")
    built = build(top_name(machine), sources, sim="icarus", dump=job.waves.path.suffix[1:])
    return run_job(built, job, lambda what, done, total: None)


def draw(wave: WaveFile) -> dict[str, str]:
    """Pictures of the page by name: a core whose send unit has no credit, and a credit lost."""
    core, port = (1, 1), Port.WEST
    counts, valid = (wave.signal(core, name) for name in (
        "core.egress.end_.credits.counts__0", "core.send.packet__valid"))
    stuck = next(cycle for cycle in range(wave.first, wave.last)
                 if valid.at(cycle) and counts.at(cycle) == 0)
    holder = wave.signal(core, "core.controller.issue_send__payload$slot").at(stuck)
    rows = [Row(core, f"core.controller.slots.slot{holder}$state", f"slot {holder}"),
            Row(core, "core.send.fsm_state", "send unit"),
            Row(core, "core.send.packet__valid", "it has a flit"),
            Row(core, "core.send.packet__ready", "it goes"),
            Row(core, "core.egress.end_.credits.counts__0", "link credits, channel 0")]
    found = {"no_credit": picture(
        wave, rows, stuck - 9, stuck + 8, "Core 1,1: the send unit has a flit, but no link credit",
        (stuck,))}
    lost = next(one.lost for one in accounts(wave, core, wave.first, wave.last)
                if one.port is port and one.lost)[0]
    base, buffer = f"router.inputs__{int(port)}", f"router.input_{port.name.lower()}"
    rows = [Row(core, f"{base}__valid", "flit comes in"),
            Row(core, f"{base}__flit$tail", "it is the last"),
            Row(core, f"{buffer}.channel0.freed", "flit leaves channel 0"),
            Row(core, f"{base}__credit", "credit of channel 0", bit=0)]
    return {**found, "lost_credit": picture(
        wave, rows, lost - 9, lost + 8,
        "Router 1,1, input west: a flit leaves, no credit goes back", (lost, lost + 1))}


def main(path: str, folder: str = "") -> int:
    """Record the machine to ``path``, perhaps draw the page's pictures; 0 if logits are right."""
    job = planted_job(Path(path))
    result = run_planted(job)
    right, _ = compare(job.model, result.requests)
    print(f"{result.cycles:,} cycles, logits {'right' if right else 'WRONG'}; waves of cycles "
          f"{result.recorded[0]} to {result.recorded[1]}: {result.waves}")
    for name, text in draw(WaveFile(Path(path))).items() if folder else ():
        (Path(folder) / f"{name}.svg").write_text(text, encoding="utf-8")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
