"""Prompts in, text and measurements out: what ``ouroboros run`` and the demo share."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import entry_points
from typing import Any

import numpy as np

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.mapper.integers import integer_model
from ouroboros.sw.mapper.placed import place_model
from ouroboros.sw.models.coder import TextStream
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.noc.routes.faults import Link
from ouroboros.sw.perf.agreement import Agreement, agreement
from ouroboros.sw.perf.counted import Counted, counted, sequence_tokens
from ouroboros.sw.program.program import Program
from ouroboros.sw.quantise.source import ModelSource
from ouroboros.sw.runtime.engine import Request
from ouroboros.sw.runtime.faults.fault import Fault, hurtable, random_faults
from ouroboros.sw.runtime.job import (
    SAID,
    Backend,
    Job,
    JobResult,
    Progress,
    RequestSpec,
)
from ouroboros.sw.runtime.sampling import Sampling, next_token
from ouroboros.sw.runtime.scale import built_cores, is_big, load_by, needs
from ouroboros.sw.runtime.stopping import StopTexts
from ouroboros.sw.runtime.waves import Waves, WavesError, resolved
from ouroboros.sw.runtime.whole import Whole, whole

__all__ = ["BACKENDS", "Served", "backend", "can_record", "compare", "expected_positions",
           "recorded", "serve", "serve_job"]

BACKENDS = ("golden", "verilator", "icarus")


def backend(name: str) -> Backend:
    """The function that runs jobs on ``name``.

    Raises
    ------
    OuroborosError
        If there is no such back end.
    """
    for entry in entry_points(group="ouroboros.backends", name=name):
        loaded: Backend = entry.load()
        return loaded
    raise OuroborosError(f"back end must be one of {BACKENDS}, not {name!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A finished run."""

    job: Job
    """What was asked for."""
    result: JobResult
    """What the machine did."""
    texts: list[str]
    """Prompt and continuation, by request; a stop text and what follows it are left out."""
    answers: list[str]
    """Continuations alone."""
    bit_exact: bool | None
    """Tokens and every streamed logit vector equal the golden decoder's; None on golden."""
    vectors_checked: int
    """Logit vectors compared."""
    wall_s: float
    """Wall time of everything."""
    agreement: Agreement | None = None
    """With the cycle model, of a single sequence on RTL whose traces are whole."""
    counted: Counted | None = None
    """Events beside the model's."""
    whole: Whole | None = None
    """The same of all tokens of all requests."""

    @property
    def program(self) -> Program:
        """What ran."""
        return self.job.program

    @property
    def model(self) -> QuantModel:
        """Its integers."""
        return self.job.model

    def logits(self) -> list[dict[str, list[int]]]:
        """All logits that were streamed, by request and position."""
        return [{str(position): vector.tolist()
                 for position, vector in sorted(request.vectors.items())}
                for request in self.result.requests]

    def summary(self) -> dict[str, Any]:
        """What ``--json`` writes, but for the logits."""
        result = self.result
        generated = sum(len(request.tokens) for request in result.requests)
        return {
            "machine": self.program.machine.name,
            "placement": self.program.placement,
            "cores": len(self.program.roles),
            "context": self.program.context,
            "scheme": self.model.scheme.name,
            "positions": self.model.shape.seq_len,
            "loss": None if self.model.loss is None else asdict(self.model.loss),
            "text": self.texts,
            "answer": self.answers,
            "tokens": [request.tokens for request in result.requests],
            "prompt_tokens": [list(request.prompt) for request in result.requests],
            "interrupted": result.interrupted,
            "finished": [request.finished for request in result.requests],
            "preemptions": [request.preemptions for request in result.requests],
            "bit_exact": self.bit_exact,
            "vectors_checked": self.vectors_checked,
            "cycles": result.cycles,
            "load": self.job.load,
            "load_cycles": result.load_cycles,
            "cycles_per_token": None if result.cycles is None else result.cycles / result.tokens,
            "peak_memory_bytes": result.peak_bytes,
            "cores_built": (None if result.cycles is None else
                            len(self.job.built or self.program.machine.mesh.coordinates)),
            "flit_hops": result.flit_hops,
            "errors": result.errors,
            "cycles_per_s": None if result.cycles is None else result.cycles / result.run_s,
            "generated_tokens": generated,
            "tokens_per_s": generated / result.run_s,
            "build_s": result.build_s,
            "load_s": result.load_s,
            "run_s": result.run_s,
            "wall_s": self.wall_s,
            "faults": [str(fault) for fault in self.job.faults],
            "faults_come": [str(fault) for fault in result.come],
            "recoveries": [{**asdict(one), "cycles": one.cycles} for one in result.recovered],
            "refused": result.refused,
            "prediction": None if self.agreement is None else self.agreement.as_dict(),
            "events": None if self.counted is None else self.counted.as_dict(),
            "whole_run": None if self.whole is None else self.whole.as_dict(),
        }


def expected_positions(request: Request) -> range:
    """Positions whose logits must have come for the tokens that were generated.

    From the last prompt token (``last``) or the first (``all``) to the last token that was fed in;
    the last generated token is not fed back, so it has none.
    """
    if request.logits == "none" or not request.tokens:
        return range(0)
    first = 0 if request.logits == "all" else len(request.prompt) - 1
    return range(first, len(request.prompt) + len(request.tokens) - 1)


def compare(model: QuantModel, requests: Sequence[Request],
            sampling: Sampling | None = None) -> tuple[bool, int]:
    """Hold what a machine said against the golden decoder, and tokens drawn from its logits.

    Returns
    -------
    bool, int
        Whether every token and every streamed logit vector is the golden decoder's and no expected
        vector is missing; how many vectors were compared.
    """
    decoder = IntegerDecoder(model)
    equal, vectors = True, 0
    for n, request in enumerate(requests):
        equal &= request.vectors.keys() >= set(expected_positions(request))
        text = [*request.prompt, *request.tokens]
        fed = max([len(text) - 2 if request.tokens else -1, *request.vectors]) + 1
        if not fed:
            continue
        golden = np.asarray(decoder.prefill(n, text[:fed]))
        for position, vector in request.vectors.items():
            equal &= bool((golden[position] == vector).all())
            vectors += 1
        for k, token in enumerate(request.tokens):
            position = len(request.prompt) - 1 + k
            equal &= next_token(sampling, golden[position], n, position) == token
    return equal, vectors


def serve(source: ModelSource, machine: Machine, prompts: Sequence[str], *, tokens: int, on: str,
          placement: str = "plain", logits: str = "last", context: int | None = None,
          window: int | None = None, twin: bool | None = None, load: str | None = None,
          defects: Sequence[int] = (),
          dead_links: Sequence[Link] = (), waves: Waves | None = None, chat: bool = False,
          system: str | None = None, sampling: Sampling | None = None, stops: Sequence[str] = (),
          scheme: str | None = None, faults: Sequence[Fault] = (), faults_random: int = 0,
          faults_seed: int = 0, told: Callable[[int, str], None] | None = None,
          progress: Progress = lambda what, done, total: None) -> Served:
    """Quantise, map and run.

    Parameters
    ----------
    on : str
        A name of ``BACKENDS``.
    placement : str
        A layout's name or a placement file; see ``sw.mapper.placed``.
    logits : str
        Which logit vectors are streamed and compared: ``last`` or ``all``.
    twin : bool
        Simulate the macro's behavioural twin; by default on a big mesh (``sw.runtime.scale``).
    load : str
        ``IMAGE`` or ``MESH`` of ``sw.runtime.job``; by default images on a big mesh.
    defects : sequence of int
        Ids of dead cores (``x + width * y`` from 0).
    dead_links : sequence of Link
        Dead links between live cores.
    waves : Waves
        What to record; Icarus only.
    chat : bool
        Prompts are what a user says to an assistant, in the words of the model's chat template.
    system : str
        What the assistant is told before.
    sampling : Sampling
        How the host draws tokens; without it they are the machine's likeliest.
    stops : sequence of str
        Texts that end a continuation.
    scheme : str
        Integer definition by name; by default the widest that the machine computes.
    faults : sequence of Fault
        What happens to the machine while it runs; it is built as ``hurtable`` says then.
    faults_random : int
        As many more, drawn by ``faults_seed``, while tokens are generated.
    told : callable
        Called with a request's number and what a token adds to its continuation, as it comes.

    Raises
    ------
    OuroborosError
        If the model does not fit, a prompt is too long, or a tool is missing.
    """
    started = time.perf_counter()
    coder = source.coder
    stop_texts = StopTexts(coder=coder, texts=tuple(stops)) if stops else None
    texts = _texts(source, prompts, chat, system)
    backend(on)
    if waves is not None:
        can_record(on)
    if faults or faults_random:
        machine = hurtable(machine)
    model = integer_model(source, machine, scheme, placement=placement)
    program = place_model(machine, model, placement=placement, context=context, defects=defects,
                          dead_links=dead_links)
    specs = tuple(RequestSpec(prompt=tuple(coder.encode(text, bos=not chat)), limit=tokens,
                              logits=logits) for text in texts)
    for prompt, spec in zip(prompts, specs, strict=True):
        if not spec.prompt:
            raise OuroborosError(f"prompt {prompt!r} must be at least one token, "
                                 f"as {source.path} begins texts without BOS")
        if len(spec.prompt) > program.context:
            raise OuroborosError(f"prompt {prompt[:40]!r} must be at most {program.context} tokens "
                                 f"(the context), not {len(spec.prompt)}")
    # Reading all counters takes longer than a short run, too long for Icarus.
    job = Job(program=program, model=model, requests=specs, stop_ids=model.special.stop_ids,
              window=window, twin=is_big(machine) if twin is None else twin,
              load=load_by(program, load), built=built_cores(program), observe=on != "icarus",
              waves=None if waves is None else recorded(waves, program, faults),
              sampling=sampling, stops=stop_texts, told=told is not None,
              faults=(*faults, *_drawn(program, specs, faults_random, faults_seed)))
    streams = [TextStream(coder, spec.prompt, stops) for spec in specs]

    def pass_on(what: str, done: int, total: int) -> None:
        if what == SAID and told is not None:
            told(done, streams[done].feed(total))
        else:
            progress(what, done, total)

    served = serve_job(job, on, pass_on)
    requests = served.result.requests
    answers = [TextStream(coder, request.prompt, stops, request.tokens).text
               for request in requests]
    return replace(
        served, answers=answers,
        texts=[coder.decode(request.prompt) + answer
               for request, answer in zip(requests, answers, strict=True)],
        wall_s=time.perf_counter() - started)


def serve_job(job: Job, on: str, progress: Progress = lambda what, done, total: None) -> Served:
    """Run a job and hold what came of it against the golden decoder; texts are left out.

    Parameters
    ----------
    on : str
        A name of ``BACKENDS``.

    Raises
    ------
    OuroborosError
        If there is too little memory or disk, or a tool is missing.
    """
    started = time.perf_counter()
    run = backend(on)
    if on != "golden":
        _say_needs(job, progress)
    result = run(job, progress)
    exact, vectors = compare(job.model, result.requests, job.sampling)
    alone, followed = _alone(job, result), _whole(job, result)
    return Served(
        job=job, result=result, answers=[], texts=[], bit_exact=None if on == "golden" else exact,
        vectors_checked=vectors,
        agreement=None if alone is None else _agreement(job, result, alone),
        counted=(followed.counted if followed is not None else
                 None if alone is None else _counted(job, result, alone)),
        whole=followed,
        wall_s=time.perf_counter() - started)


def _say_needs(job: Job, progress: Progress) -> None:
    found = needs(job)
    if is_big(job.program.machine):
        for what, need, free in (("memory", found.memory_bytes, found.memory_free_bytes),
                                 ("disk", found.disk_bytes, found.disk_free_bytes)):
            progress(what, need // 1_000_000, free // 1_000_000)
    found.check()


def _alone(job: Job, result: JobResult) -> Request | None:
    """The only sequence of a run that was observed, if it went through the machine once."""
    if (len(result.requests) != 1 or not result.traces or job.program.detours is not None
            or job.program.pools):
        return None
    [request] = result.requests
    # The model's prompts keep their logits for themselves.
    if request.preemptions or not request.tokens or request.logits == "all":
        return None
    return request


def _agreement(job: Job, result: JobResult, request: Request) -> Agreement | None:
    return agreement(job.program, result.traces, starts=request.start_times,
                     ends=request.finish_times, prompt_tokens=len(request.prompt),
                     stream=request.logits != "none")


def _counted(job: Job, result: JobResult, request: Request) -> Counted:
    return counted(job.program, {core: one.events for core, one in result.counters.items()},
                   sequence_tokens(len(request.prompt), len(request.finish_times),
                                   stream=request.logits != "none"))


def _whole(job: Job, result: JobResult) -> Whole | None:
    """Where the model can follow the run: all requests at the start, none sent again."""
    if (not result.traces or job.program.detours is not None or job.faults or job.program.pools
            or job.options.speculate
            or any(spec.arrival or spec.deadline is not None or spec.cancel_at is not None
                   for spec in job.requests)
            or any(request.preemptions or not request.tokens for request in result.requests)):
        return None
    return whole(job, result)


def _drawn(program: Program, specs: Sequence[RequestSpec], count: int,
           seed: int) -> list[Fault]:
    """Faults at random while tokens are generated."""
    if not count:
        return []
    from ouroboros.sw.runtime.faults.recovery import run_cycles
    tokens = max(spec.limit for spec in specs)
    last = run_cycles(program, max(len(spec.prompt) + spec.limit for spec in specs), tokens)
    return random_faults(program.machine, count, seed=seed, first=0, last=last)


def recorded(waves: Waves, program: Program, faults: Sequence[Fault] = ()) -> Waves:
    """What a back end is to record.

    Raises
    ------
    WavesError
        If it cannot be.
    """
    found = resolved(waves, program)
    if found.window.token is not None and faults:
        raise WavesError("waves of a run with faults must have a window of cycles, FROM:TO")
    return found


def can_record(on: str) -> None:
    """Refuse a back end that records no waves.

    Raises
    ------
    WavesError
        If it does not.
    """
    if on not in ("verilator", "icarus"):
        raise WavesError(f"back end must be verilator or icarus to record waves, not {on!r}")


def _texts(source: ModelSource, prompts: Sequence[str], chat: bool,
           system: str | None) -> list[str]:
    """What the model reads: prompts as they are, or in the words of its chat template."""
    if not chat:
        if system is not None:
            raise OuroborosError("system text must be given with chat only")
        return list(prompts)
    if source.chat is None:
        raise OuroborosError(f"{source.path}: has no chat template, in its own file or beside it")
    before = [] if system is None else [{"role": "system", "content": system}]
    return [source.chat.render([*before, {"role": "user", "content": prompt}])
            for prompt in prompts]
