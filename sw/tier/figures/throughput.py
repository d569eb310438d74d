"""Throughput of the tier over that of every other system, by model and trace."""

from ouroboros.sw.tier.figures.bar import Bar, Bars, Group
from ouroboros.sw.tier.figures.runs import TITLES, TRACE_TITLES, Runs

__all__ = ["cpu_bound", "throughput_groups"]

BARS = "throughput_vs_gpu"
LIMITS = {"gpt-175b": (0.15, 0.08, "each"), "opt-66b": (0.15, 0.15, "mean"),
          "qwen2-72b": (0.15, None, "none")}
"""Largest and mean error allowed, and what of them holds."""


def cpu_bound(runs: Runs, trace: str) -> float:
    """Tokens/s that a host could reach if it did nothing but read K and V of Qwen-72B."""
    found = runs.need("qwen2-72b", trace, "cpu")
    kv = found.system.kv_token_bytes * found.system.dense.shape.n_layers
    return found.system.kv_bytes_per_s / (found.context * kv) * found.system.replicas


def throughput_groups(bars: Bars, runs: Runs) -> list[Group]:
    """A group for each model."""
    groups = []
    for model, (most, mean, limited) in LIMITS.items():
        found, words = [], [_constants(model, runs)]
        for trace, title in TRACE_TITLES.items():
            own = runs.need(model, trace, "tier")
            published = bars.numbers(6, BARS, title, TITLES[model])
            for n, name in enumerate(runs.systems[:-1]):
                other = runs.get(model, trace, name)
                base, top = (published[n], published[5])
                bar = top / base if base and top else None
                if other is None:
                    words.append(f"{title}: does not fit {name}" + (
                        ", nor does it in the publication" if bars.path and bar is None else ""))
                    continue
                found.append(Bar(
                    name=f"{TITLES[model]} {title}, tier / {name}",
                    ours=own.tokens_per_s / other.tokens_per_s, published=bar,
                    status="not comparable" if limited == "none" else "derived"))
        if model == "qwen2-72b":
            words += _bound(bars, runs)
        groups.append(Group(title=f"throughput of {TITLES[model]}", bars=tuple(found), most=most,
                            mean=mean, limited=limited, words=tuple(words)))
    return groups


def _constants(model: str, runs: Runs) -> str:
    found = runs.need(model, "openr1", "tier").system
    return (f"banks staggered ({runs.technology.of('staggered'):.3f}, of the timings), other "
            f"systems at their full bandwidth; {found.replicas} replicas, nothing fitted")


def _bound(bars: Bars, runs: Runs) -> list[str]:
    """Why Qwen's bars cannot be met."""
    words = []
    for trace, title in TRACE_TITLES.items():
        gpu, own = runs.need("qwen2-72b", trace, "gpu"), runs.need("qwen2-72b", trace, "cpu")
        bound = cpu_bound(runs, trace) / gpu.tokens_per_s
        bar = bars.at(BARS, title, "QWEN-72B")
        words.append(f"{title}: CPU / GPU is at most {bound:.3f} (406 GB/s over K and V of "
                     f"{own.context:,.0f} tokens of context)" + (
                         f"; the publication's bar {bar[3] / bar[0]:.3f} is "
                         f"{bar[3] / bar[0] / bound:.1f} times that" if bar else ""))
    bar = bars.at("breakdown_OpenR1", "QWEN-72B", "batch")
    if bar:
        batch = float(bar[2])
        c = runs.need("qwen2-72b", "openr1", "gpu").system.dense
        room = 0.2 * runs.technology.pool_gib.mid / batch
        gpus = c.constants.of("gpus") * c.constants.of("gpu_gib")
        words.append(f"its batch with 20 % of the tier ({batch:g} of the GPU's) leaves the GPUs "
                     f"{room:.0f} of {gpus:.0f} GiB for K and V, {(gpus - room) / 2:.0f} GiB of "
                     f"weights a replica where {c.weight_bytes / 2**30:.0f} are")
    return words
