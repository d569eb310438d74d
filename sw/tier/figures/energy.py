"""Energy of a token: GPT-175B on OpenR1, parts of three systems."""

from ouroboros.sw.tier.energy import Joules, joules
from ouroboros.sw.tier.figures.bar import Bar, Bars, Group
from ouroboros.sw.tier.figures.runs import Runs
from ouroboros.sw.tier.technology import Currents

__all__ = ["energy_group"]

SAVED = 0.41
"""Of the GPU's energy: CHIME, ISCA 2026, text."""
BARS = "energy_GPT175B_OpenR1_norm_HBMPIM"
TITLES = {"tier": "CHIME", "gpu": "GPU", "hbm-pim": "HBM-PIM"}


def energy_group(bars: Bars, runs: Runs, currents: Currents) -> Group:
    """What is saved of the GPU's energy; then parts, over the GPU's total."""
    found: dict[str, Joules] = {
        name: joules(runs.need("gpt-175b", "openr1", name), runs.technology, currents)
        for name in TITLES}
    total = found["gpu"].total
    rows = [Bar(name="saved, tier against gpu", ours=1 - found["tier"].total / total,
                published=SAVED)]
    base = _sum(bars, "GPU")
    for name, title in TITLES.items():
        for n, (part, value) in enumerate((("dense", found[name].dense),
                                           ("attention", found[name].attention),
                                           ("standby", found[name].standby))):
            published = bars.number(BARS, title, n)
            rows.append(Bar(name=f"{name}: {part}, of the gpu's total", ours=value / total,
                            published=published / base if published and base else None,
                            status="not comparable"))
    run = runs.need("gpt-175b", "openr1", "tier")
    spread = [1 - joules(run, runs.technology, currents, part).total / total
              for part in reversed(currents.within_bank.spread)]
    return Group(title="energy of GPT-175B on OpenR1", bars=tuple(rows), most=0.10, words=(
        (f"gpu {total:.2f}, tier {found['tier'].total:.2f}, hbm-pim {found['hbm-pim'].total:.2f} "
         "J a token, from sourced figures; nothing fitted"),
        (f"how much of a read stays in a bank is the open figure: {spread[0]:.0%} to "
         f"{spread[1]:.0%} saved over its spread; parts are shown, not limited")))


def _sum(bars: Bars, title: str) -> float | None:
    parts = bars.numbers(4, BARS, title)
    return sum(part for part in parts if part) if parts[0] is not None else None
