"""Batch, time between tokens, shares of the tier, scaling: all of OpenR1."""

from ouroboros.sw.tier.figures.bar import Bar, Bars, Group
from ouroboros.sw.tier.figures.runs import Runs

__all__ = ["capacity_group", "headline_group", "scaling_group"]

MODEL, TRACE = "gpt-175b", "openr1"
BATCH, LATENCY = 6.62, 2.24
"""CHIME, ISCA 2026, text: of the GPU's."""
SHARES = (0.2, 0.4, 0.6, 0.8)
FACTORS = (1, 2, 4, 8)
STEP = 4
"""The tier is as it was published at this factor."""
MANY = 4
"""Times as many requests: the largest tier holds a tenth of the publication's."""


def headline_group(bars: Bars, runs: Runs) -> Group:
    """Batch and latency, of the text."""
    gpu, own = runs.need(MODEL, TRACE, "gpu"), runs.need(MODEL, TRACE, "tier")
    found = (Bar(name="batch, tier / gpu", ours=own.batch / gpu.batch, published=BATCH),
             Bar(name="latency, tier / gpu", ours=own.step_s / gpu.step_s, published=LATENCY),
             Bar(name="throughput, tier / gpu", ours=own.tokens_per_s / gpu.tokens_per_s,
                 published=bars.number("breakdown_OpenR1", "GPT-175B", "thr", 6)))
    return Group(title="GPT-175B on OpenR1: batch and latency", bars=found, most=0.05)


def scaling_group(bars: Bars, runs: Runs) -> Group:
    """Twice to eight times a quarter of the tier: bandwidth, capacity, both."""
    many = runs.requests * MANY
    base = runs.need(MODEL, TRACE, "tier", capacity=1 / STEP, bandwidth=1 / STEP, requests=many)
    found = []
    for n, factor in enumerate(FACTORS[1:], 1):
        for kind, title in (("both", "both"), ("bw", "bandwidth"), ("cap", "capacity")):
            one = runs.need(MODEL, TRACE, "tier", requests=many,
                            capacity=(1 if kind == "bw" else factor) / STEP,
                            bandwidth=(1 if kind == "cap" else factor) / STEP)
            found.append(Bar(name=f"{title} x{factor}", ours=one.tokens_per_s / base.tokens_per_s,
                             published=bars.number("scalability_OpenR1", "GPT-175B", kind, n),
                             status="derived" if factor == FACTORS[-1] else "not comparable"))
    swapped = ("the publication's text swaps the two curves: it says that bandwidth alone gives "
               "nothing and capacity alone 2.28 times; its figure, and any machine whose memory is "
               f"read at {runs.technology.pool_bytes_per_s / STEP / 1e12:.2f} TB/s with "
               f"{runs.technology.pool_gib.mid / STEP:.0f} GiB to read for each token of a batch, "
               f"has it the other way round")
    return Group(title="GPT-175B on OpenR1: scaling of the tier", bars=tuple(found), most=0.05,
                 words=(swapped, (
                     f"base: a quarter of the tier; {many:,} requests, so that the largest tier "
                     "is not half empty at the end; limits hold for x8")))


def capacity_group(bars: Bars, runs: Runs) -> Group:
    """Shares of the tier's capacity with all of its bandwidth."""
    gpu = runs.need(MODEL, TRACE, "gpu")
    found = []
    for n, share in enumerate(SHARES, 2):
        own = runs.need(MODEL, TRACE, "tier", capacity=share)
        for kind, ours in (("batch", own.batch / gpu.batch), ("lat", own.step_s / gpu.step_s),
                           ("thr", own.tokens_per_s / gpu.tokens_per_s)):
            found.append(Bar(name=f"{share:.0%}: {kind}, tier / gpu", ours=ours,
                             published=bars.number("breakdown_OpenR1", "GPT-175B", kind, n)))
    return Group(title="GPT-175B on OpenR1: a part of the tier", bars=tuple(found), most=0.05,
                 limited="none", words=(
                     ("at 40 and 60 % the model is up to a quarter too fast: it balances "
                      "sub-batches perfectly, so attention hides all of the dense layers or the "
                      "other way round; how the publication forms sub-batches is not said"),))
