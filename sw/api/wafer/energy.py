"""Energy of a model on a wafer: options in, joules, power, capped throughput out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.api.shared import OnWafer, WithShape
from ouroboros.sw.energy.count import model_events, ways_within
from ouroboros.sw.energy.events import Events
from ouroboros.sw.energy.joules import Joules, capped_rate, joules, leakage_w
from ouroboros.sw.energy.technology import Technology, load_technology
from ouroboros.sw.lib.digest import digest_of
from ouroboros.sw.lib.options import option
from ouroboros.sw.lib.quantities import CORNERS, at
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.program.image import Token
from ouroboros.sw.wafer.clocks import CAPS_W, clocks
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.members import estimate

__all__ = ["EnergyOfModel", "EnergyOptions", "energy_of_model"]


@dataclass(frozen=True, kw_only=True)
class EnergyOptions(OnWafer, WithShape):
    """A model on a machine, and a technology."""

    context: int = option(1024, metavar="N")
    """Tokens that every token attends to."""
    members: int | None = option(None, metavar="N")
    """Cores that share the tokens of a KV head; by default the best for decode."""
    technology: Path | None = option(None)
    """TOML file of figures that replace shipped ones, of the form of sw/energy/technology.toml."""
    prompts: float = option(1.0, metavar="F", least=0, most=1e6)
    """Prompt tokens for every generated one."""
    recomputed: float = option(0.0, metavar="F", least=0, most=0.99)
    """Share of all computed tokens that are computed again, as their KV was given up."""
    bit_planes: bool = option(False)
    """Read the array for every bit of an activation; the macro reads once and holds."""
    caps: tuple[float, ...] = option(CAPS_W, flag="--cap", metavar="W", above=0)
    """Power of the machine at most, in watts; may be repeated."""
    clocks: tuple[float, ...] = option(tuple(one.mid for one in clocks().values()),
                                      flag="--clock-ghz", metavar="F", above=0)
    """Clock; may be repeated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnergyOfModel:
    """What a model's tokens cost."""

    options: EnergyOptions
    """What was asked for."""
    wafer: Wafer
    """Cores and rates."""
    technology: Technology
    """Figures."""
    decoded: Events
    """Of a token that makes another one."""
    prompt: Events
    """Of a token of a prompt but its last: without head."""

    def split(self, corner: str, technology: Technology | None = None) -> dict[str, Joules]:
        """Joules of a generated and of a prompt token, and of all for each generated one.

        ``recomputed`` is the part of ``output`` that tokens cost that are computed again.
        """
        known = technology or self.technology
        decoded, prompt = (joules(one, self.wafer.machine, known, corner,
                                  bit_planes=self.options.bit_planes)
                           for one in (self.decoded, self.prompt))
        again = prompt * self._again
        return {"decoded": decoded, "prompt": prompt, "recomputed": again,
                "output": decoded + prompt * self.options.prompts + again}

    @property
    def _again(self) -> float:
        """Recomputed tokens for every generated one."""
        share = self.options.recomputed
        return share / (1 - share) * (1 + self.options.prompts)

    def leakage_w(self, corner: str) -> float:
        """Watts of the machine at rest."""
        return leakage_w(self.wafer.machine, self.wafer.value("core_area_mm2"), self.technology,
                         corner)

    def rate(self, clock_ghz: float) -> float:
        """Generated tokens/s of the pipeline at a clock, power left aside."""
        scale = clock_ghz * 1e9 / self.wafer.clock_hz
        all_tokens = 1 + self.options.prompts + self._again
        return scale * min(self.wafer.decode_tokens_per_s,
                           self.wafer.prefill_tokens_per_s / all_tokens)

    def powers(self, corner: str) -> list[dict[str, float | None]]:
        """Power at each clock without a cap, and throughput within each cap."""
        each, leakage = self.split(corner)["output"].total, self.leakage_w(corner)
        found: list[dict[str, float | None]] = []
        for clock in self.options.clocks:
            for cap in (None, *self.options.caps):
                rate = self.rate(clock)
                if cap is not None:
                    rate = capped_rate(rate, each, leakage, cap)
                watts = leakage + each * rate
                found.append({"clock_ghz": clock, "cap_w": cap, "tokens_per_s": rate,
                              "watts": watts, "throttled": rate / self.rate(clock),
                              "joules_per_token": watts / rate if rate else None})
        return found

    def row_reads(self) -> list[dict[str, float | str]]:
        """Sweep of the energy of a row read, all else in the middle, at the first cap and clock.

        From cells alone to the largest that the sources of an SRAM read give.
        """
        known, row = self.technology, self.wafer.machine.cim.outputs
        array, macro = known.array_read, known.macro_read
        marks = {known.cell_read.mid: "cells alone"}
        marks |= {at(macro, corner): f"measured CIM macros, {corner}" for corner in CORNERS}
        marks |= {at(array, corner): f"SRAM read, {corner}" for corner in CORNERS}
        steps = {10 ** (n / 3) for n in range(-6, 4)}
        found: list[dict[str, float | str]] = []
        for figure in sorted({*steps, *marks}):
            tried = known.with_values({"array_read": figure}, "sweep")
            split, leakage = self.split("mid", tried), self.leakage_w("mid")
            cap, clock = self.options.caps[0], self.options.clocks[-1]
            rate = capped_rate(self.rate(clock), split["output"].total, leakage, cap)
            found.append({
                "pj_per_byte": figure, "pj_per_row": figure * row, "what": marks.get(figure, ""),
                "joules_per_decoded_token": split["decoded"].total,
                "array_share": split["decoded"].array / split["decoded"].total,
                "cap_w": cap, "clock_ghz": clock, "tokens_per_s": rate,
                "joules_per_token": split["output"].total + leakage / rate if rate else
                float("inf")})
        return found

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        w = self.wafer
        return {
            "machine": w.machine.name, "machine_digest": digest_of(w.machine),
            "model": w.shape.name, "model_digest": digest_of(w.shape), "context": w.context,
            "members": w.members, "prompt_tokens_per_output": self.options.prompts,
            "recomputed_share": self.options.recomputed,
            "reads_per_bit_plane": self.options.bit_planes,
            "events_of_decoded_token": self.decoded.as_dict(),
            "events_of_prompt_token": self.prompt.as_dict(),
            "corners": {corner: {
                **{name: one.as_dict() for name, one in self.split(corner).items()},
                "leakage_w": self.leakage_w(corner), "power": self.powers(corner)}
                for corner in CORNERS},
            "row_reads": self.row_reads(), "technology": self.technology.as_dict()}


def energy_of_model(options: EnergyOptions) -> EnergyOfModel:
    """Joules of a model's tokens by kind, power at its throughput, throughput within a power.

    Raises
    ------
    OuroborosError, ConfigError
        If the model does not fit, or the technology is refused.
    """
    technology = load_technology(options.technology)
    wafer, _ = estimate(load_machine(options.machine), load_shape(options.model),
                        WaferOptions(context=options.context, members=options.members))
    block = (wafer.count.weights + wafer.count.kv) / wafer.shape.n_layers
    ways, layers = ways_within(wafer.machine, block), wafer.shape.n_layers
    decoded, prompt = (model_events(wafer.graph, layers, Token(options.context - 1, flags), ways)
                       for flags in (0, Flag.QUIET))
    return EnergyOfModel(options=options, wafer=wafer, technology=technology, decoded=decoded,
                         prompt=prompt)
