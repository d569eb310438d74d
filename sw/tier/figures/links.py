"""What the link adds to attention, and how much of it rank sets hide."""

import math

from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.tier.constants import constants
from ouroboros.sw.tier.figures.bar import Bar, Bars, Group
from ouroboros.sw.tier.systems import System, system
from ouroboros.sw.tier.technology import Technology

__all__ = ["CASES", "link_group", "micro_efficiency"]

CASES = {
    "gpt-175b": ("GPT-175B", (("P4x192 D64x8K", 4 * 192, 64, 8),
                              ("P4x192 D48x12K", 4 * 192, 48, 12),
                              ("P8x96 D64x8K", 8 * 96, 64, 8))),
    "qwen2-72b": ("QWEN-72B", (("P2x96 D64x10K", 2 * 96, 64, 10), ("P2x96 D48x12K", 2 * 96, 48, 12),
                               ("P4x48 D64x10K", 4 * 48, 64, 10))),
}
"""By model: the publication's name, then batches: name, tokens of prompts, decodes, context in
1,024 tokens."""
BARS = "pcie_overhead_percent"


def overhead(found: System, prompts: int, decodes: int, context: int) -> float:
    """Time on the link over attention, in per cent."""
    whole = math.ceil(decodes / found.groups) * found.groups / decodes
    attention = decodes * context * found.kv_token_bytes * whole / found.kv_bytes_per_s
    link = prompts * found.link_prompt_s + decodes * found.link_token_s
    return 100 * link / attention


def _case(name: str, technology: Technology, efficiency: float, sets: int) -> System:
    return system("tier", load_shape(name), technology, efficiency=efficiency, rank_sets=sets)


def _overhead(name: str, technology: Technology, efficiency: float, case: tuple[str, int, int, int],
              *, hidden: bool) -> float:
    """With rank sets as they are, their part hidden or not."""
    found = _case(name, technology, efficiency, 4)
    plain = overhead(found, case[1], case[2], case[3] * 1024)
    return plain if hidden else plain * found.rank_sets


def micro_efficiency(bars: Bars, technology: Technology) -> tuple[float, bool]:
    """Of the banks' bandwidth in the publication's micro-benchmarks, and whether it was fitted.

    To one bar, of the overhead of GPT-175B; without bars that of banks in lockstep.
    """
    lockstep = technology.of("lockstep")
    title, cases = CASES["gpt-175b"]
    bar = bars.number(BARS, title, cases[0][0], 0) if bars.path else None
    if bar is None:
        return lockstep, False
    # The overhead is proportional to the efficiency.
    return bar / _overhead("gpt-175b", technology, 1.0, cases[0], hidden=False), True


def link_group(bars: Bars, technology: Technology) -> Group:
    """Twelve bars: six batches, without and with rank sets."""
    efficiency, fitted = micro_efficiency(bars, technology)
    found = []
    for name, (title, cases) in CASES.items():
        for case in cases:
            for hidden in (False, True):
                first = name == "gpt-175b" and case is cases[0] and not hidden
                found.append(Bar(
                    name=f"{title} {case[0]}, {'rank sets' if hidden else 'one set'}, %",
                    ours=_overhead(name, technology, efficiency, case, hidden=hidden),
                    published=bars.number(BARS, title, case[0], int(hidden)),
                    status="derived" if not fitted else "fitted" if first else "held out"))
    link = constants().pcie_gb_s
    return Group(title="overhead of the link over attention", bars=tuple(found), most=0.02, words=(
        f"efficiency of all banks {efficiency:.3f}, "
        + (f"fitted to the first bar; lockstep of the timings: {technology.of('lockstep'):.3f}"
           if fitted else "lockstep of the timings"),
        f"link {link.mid:g} GB/s a GPU: {link.source}",
        ("rank sets hide 1 - 1/sets of the link: 75 % of GPT-175B's (4 sets), 50 % of Qwen-72B's "
         "(2, as replicas share ranks)")))
