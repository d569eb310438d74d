"""Faults one by one on a machine that generates text: options in, what it took out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import mean, median
from typing import Any

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.shared import OnMachine, OnSimulator, WithPlacement
from ouroboros.sw.api.weights import WithTexts
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.options import option
from ouroboros.sw.mapper.integers import integer_model
from ouroboros.sw.mapper.placed import place_model
from ouroboros.sw.runtime.faults.fault import (
    CORE,
    LINK,
    ROUTER,
    Fault,
    every_fault,
    hurtable,
    random_faults,
)
from ouroboros.sw.runtime.job import BRANCH, Job, JobResult, RequestSpec
from ouroboros.sw.runtime.service import backend, compare

__all__ = ["SweepOptions", "Swept", "sweep", "totals"]

PAIR = "pair"


@dataclass(frozen=True, kw_only=True)
class SweepOptions(WithTexts, WithPlacement, OnSimulator, OnMachine):
    """What is generated, and what is hurt meanwhile."""

    prompts: tuple[str, ...] = option(("Once upon a time", "One day"), flag="--prompt",
                                      metavar="TEXT")
    """A prompt; may be repeated, all are served together."""
    tokens: int = option(6, metavar="N", least=2)
    """Tokens to generate for each prompt."""
    kind: str = option(CORE, choices=lambda: (CORE, LINK, ROUTER, PAIR))
    """Every core, link, or router with its core, one run each; or pairs of cores and links at
    random."""
    cycle: int | None = option(None, metavar="N", least=0)
    """When it happens; by default half way through the run without a fault. Pairs: from there to
    the end."""
    pairs: int = option(50, metavar="N", least=1)
    """Runs with a pair."""
    seed: int = option(0, metavar="N", least=0)
    """Of the draw of pairs."""
    skip: int = option(0, metavar="N", least=0)
    """Leave out so many runs at the beginning."""
    count: int | None = option(None, metavar="N", least=1)
    """Runs at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """One run."""

    faults: tuple[str, ...]
    """What happened."""
    equal: bool
    """Tokens and logits equal the run without faults; of a run that was refused: as far as there
    are any."""
    refused: str | None
    """Why the machine could not go on."""
    cycles: int
    """Of the run."""
    notice_cycles: int | None
    """From the first fault to the first notice; None: nobody noticed, as nothing was lost."""
    recover_cycles: int
    """Of all recoveries, from notice to the next token."""
    recoveries: int
    """How often the machine was brought back."""
    tokens_again: int
    """Tokens sent again."""
    moved: int
    """Parts of the program that have another core."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


def sweep(options: SweepOptions,
          progress: Callable[[int, int], None] = lambda done, total: None,
          ) -> Iterator[Swept]:
    """Run without a fault, then once for each, from the first fault on.

    Raises
    ------
    OuroborosError
        If the model does not fit, a tool is missing, or the run without faults is not exact.
    KeyboardInterrupt
        If the user ends it, after the runs that were over.
    """
    source, run = options.source(), backend(options.on)
    machine = hurtable(load_machine(options.machine))
    model = integer_model(source, machine)
    program = place_model(machine, model, placement=options.placement)
    job = Job(program=program, model=model, twin=True, observe=False, requests=tuple(
        RequestSpec(prompt=tuple(source.coder.encode(text, bos=True)), limit=options.tokens)
        for text in options.prompts))
    whole = run(job, lambda what, done, total: None)
    if not compare(model, whole.requests)[0]:
        raise OuroborosError("the run without faults must give the golden decoder's logits")
    assert whole.cycles is not None, "simulators have a clock"
    first = whole.cycles // 2 if options.cycle is None else options.cycle
    runs = _runs(options, job, first, whole.cycles)[options.skip:]
    runs = runs[:options.count]

    def told(what: str, done: int, total: int) -> None:
        if what == BRANCH:
            progress(done, total)

    found = run(replace(job, branches=tuple(runs)), told)
    for faults, one in zip(runs, found.branches, strict=False):
        yield _swept(faults, one, whole)
    if found.interrupted:
        raise KeyboardInterrupt


def _runs(options: SweepOptions, job: Job, first: int, last: int) -> list[tuple[Fault, ...]]:
    machine = job.program.machine
    if options.kind == PAIR:
        return [tuple(random_faults(machine, 2, seed=options.seed + n, first=first, last=last))
                for n in range(options.pairs)]
    return [(fault,) for fault in every_fault(machine, options.kind, first)]


def _swept(faults: Sequence[Fault], result: JobResult, whole: JobResult) -> Swept:
    assert result.cycles is not None, "simulators have a clock"
    recovered = result.recovered
    equal = True
    for now, then in zip(result.requests, whole.requests, strict=True):
        if now.finished != "refused":
            equal &= now.tokens == then.tokens and now.vectors.keys() == then.vectors.keys()
        equal &= now.tokens == then.tokens[:len(now.tokens)] and all(
            (then.vectors[position] == vector).all() for position, vector in now.vectors.items())
    return Swept(
        faults=tuple(map(str, faults)), equal=equal, refused=result.refused, cycles=result.cycles,
        notice_cycles=recovered[0].after_fault if recovered else None,
        recover_cycles=sum(one.cycles for one in recovered), recoveries=len(recovered),
        tokens_again=sum(one.tokens_again for one in recovered),
        moved=sum(len(one.moved) for one in recovered))


def totals(rows: Sequence[Swept]) -> dict[str, Any]:
    """Of a sweep: how many were equal, unnoticed and refused; cycles: least to most."""
    back = [row for row in rows if row.recoveries and row.refused is None]
    return {
        "runs": len(rows), "equal": sum(row.equal for row in rows),
        "unnoticed": sum(not row.recoveries and row.refused is None for row in rows),
        "recovered": len(back), "refused": sum(row.refused is not None for row in rows),
        **{f"{name}_{what}": how([getattr(row, name) for row in back]) if back else None
           for name in ("notice_cycles", "recover_cycles", "tokens_again")
           for what, how in (("min", min), ("median", median), ("mean", mean), ("max", max))}}
