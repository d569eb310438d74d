"""The page of a run: pictures, tables and texts in one file that needs nothing else."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ouroboros.hw.params.counters import Counter
from ouroboros.sw.report import mesh_map, timeline, utilisation
from ouroboros.sw.runtime.job import JobResult
from ouroboros.sw.runtime.service import Served, expected_positions

__all__ = ["Report", "expected_vectors", "render", "verdict"]

MEANINGS = {
    "array_group_cycles": "cycles in which a row group of a macro was active, over all macros",
    "row_writes": "macro rows written by appends to the V cache",
    "byte_writes": "macro bytes written by appends to the K cache",
    "kv_operations": "appends, score and context passes, and releases of the KV cache",
    "kv_full": "appends refused because no KV block was free",
    "sfu_elements": "elements through the special-function units",
    "flits_in": "flits taken from the mesh by cores",
    "flits_out": "flits put on the mesh by cores",
    "flit_hops_data": "flits passed from router to router, data class",
    "flit_hops_control": "the same, control class: credits, and the reading of these counters",
    "errors": "packets dropped because they made no sense",
    "array_busy_cycles": "cycles in which an array unit had an instruction",
    "sfu_busy_cycles": "cycles in which a special-function unit had an instruction",
    "send_busy_cycles": "cycles in which a send unit had an instruction",
    "kv_blocks": "KV blocks in use at the end",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What the page is made of."""

    served: Served
    """The run."""
    prompts: Sequence[str]
    """As they were given, by request."""
    command: str
    """What to type to make it again."""
    backend: str
    """What ran the program."""
    macro: str
    """Which form of the macro a simulator ran: ``bit-serial RTL`` or ``behavioural twin``."""
    logits: str
    """Which logit vectors were compared: ``last`` or ``all``."""
    checkpoint: str
    """Name of the checkpoint's file."""
    wafer: dict[str, Any] | None = None
    """See ``sw.report.wafer.wafer_estimate``."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of the tools, by name."""

    @property
    def verdict(self) -> tuple[bool | None, str]:
        """Whether the run is bit exact and complete (None: nothing to compare), and it in words."""
        return verdict(self.served, self.logits)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the logits, for a file."""
        served, (exact, words) = self.served, self.verdict
        found = utilisation.stages(served.program, served.result)
        summary = {key: value for key, value in served.summary().items() if key != "logits"}
        return {
            "command": self.command, "checkpoint": self.checkpoint, "backend": self.backend,
            "macro": self.macro, "verify": self.logits, **summary,
            "vectors_expected": expected_vectors(served.result),
            "verified": exact, "verdict": words,
            "stage_cycles": [row.as_dict() for row in found],
            "kind_percent": [kind.as_dict() for kind in utilisation.kinds(found)],
            "events": utilisation.event_totals(served.result),
            "wafer": self.wafer and self.wafer["values"], "versions": self.versions}


def expected_vectors(result: JobResult) -> int:
    """Logit vectors that must have come."""
    return sum(len(expected_positions(request)) for request in result.requests)


def verdict(served: Served, logits: str) -> tuple[bool | None, str]:
    """Whether the run is bit exact and complete (None: nothing to compare), and it in words."""
    if served.bit_exact is None:
        return None, "The golden model itself ran: there is nothing to compare it with."
    expected = expected_vectors(served.result)
    which = "every token: prompt and generated" if logits == "all" else \
        "last prompt token and every generated token"
    counts = f"{served.vectors_checked} of {expected} vectors of {served.program.vocab_size} int32"
    if served.vectors_checked < expected:
        return False, f"Logit vectors are MISSING ({which}; {counts})."
    if not served.bit_exact:
        return False, f"Logits or tokens DIFFER from the golden decoder's ({which}; {counts})."
    return True, (f"Every logit vector ({which}; {counts}) and every generated token equals the "
                  f"golden decoder's, bit for bit.")


def render(report: Report) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    served = report.served
    result, program, shape = served.result, served.program, served.model.shape
    exact, words = report.verdict
    found = utilisation.stages(program, result)
    machine = program.machine
    simulated = report.backend != "golden"
    return environment.get_template("template.html.j2").render(
        title=f"Ouroboros: a language model on machine {machine.name!r}",
        lead=f"{report.checkpoint} ({shape.n_layers} transformer blocks, {shape.dim} channels, "
             f"{shape.n_heads} heads, {shape.vocab_size} tokens in the vocabulary) on "
             f"{machine.mesh.width}\u00d7{machine.mesh.height} cores of {machine.core.macros} "
             f"compute-in-memory macros, "
             + (f"every register simulated by {report.backend.capitalize()}."
                if simulated else "as the instruction-level golden machine."),
        exact=exact, verdict=words,
        verdict_head={True: "Bit exact", False: "Not bit exact", None: "Nothing compared"}[exact],
        tiles=_tiles(served, exact), command=report.command,
        stories=_stories(served, report.prompts), compared=_compared(report),
        bars=Markup(utilisation.bars(found)) if found else "", states=utilisation.STATES,
        cycles=f"{result.cycles:,}" if result.cycles else "", kinds=utilisation.kinds(found),
        slowest=utilisation.slowest(found), **_timelines(served, report.prompts), **_mesh(served),
        events=_events(result), tokens=f"{result.tokens:,}", wafer=report.wafer,
        parameters=_parameters(report))


def _tiles(served: Served, exact: bool | None) -> list[tuple[str, str]]:
    summary, result = served.summary(), served.result
    tiles = [(str(len(result.requests)), "sequences served together"),
             (f"{summary['generated_tokens']:,}", "tokens generated")]
    if exact is not None:
        tiles.append((f"{served.vectors_checked:,}", "logit vectors compared"))
    if result.cycles:
        tiles += [(f"{result.cycles:,}", "clock cycles"),
                  (f"{result.cycles / max(summary['generated_tokens'], 1):,.0f}",
                   "cycles per generated token, prefill included"),
                  (f"{summary['cycles_per_s']:,.0f}", "cycles simulated per second")]
    tiles.append((f"{summary['tokens_per_s']:.2f}", "generated tokens per second of wall time"))
    return tiles


def _stories(served: Served, prompts: Sequence[str]) -> list[dict[str, str]]:
    ends = {"stop": "ended by itself", "length": "stopped at the token limit",
            "context": "stopped at the end of the context", "kv_full": "stopped, KV cache full",
            "cancelled": "cancelled"}
    stories = []
    for n, (text, prompt, request) in enumerate(
            zip(served.texts, prompts, served.result.requests, strict=True)):
        known = text.startswith(prompt)
        preempted = f", preempted {request.preemptions} times" if request.preemptions else ""
        stories.append({
            "prompt": prompt if known else "", "rest": text[len(prompt):] if known else text,
            "style": f"q-{n}" if n < timeline.COLOURS else "q-more",
            "meta": f"{len(request.prompt)} prompt tokens, {len(request.tokens)} generated, "
                    f"{ends.get(request.finished or '', request.finished)}{preempted}"})
    return stories


def _compared(report: Report) -> list[str]:
    digest = (f"Model: {report.checkpoint}, quantised to int8 weights "
              f"(digest {report.served.model.digest[:16]}).")
    if report.backend == "golden":
        return [digest, (
            "The golden machine executed the same program, instruction by instruction; it has no "
            "clock, so there are no cycles to show.")]
    which = "all tokens" if report.logits == "all" else \
        "the last prompt token and each generated token that was fed back"
    return [
        digest,
        (f"Ran: the Verilog of the whole machine ({report.macro} macros, cores, routers, KV "
         f"managers) under {report.backend.capitalize()}. The program travelled over the mesh; "
         f"after that the host sent embedding and RoPE rows, nothing else. The machine chose each "
         f"token by its own argmax."),
        ("Against: the golden integer decoder in numpy, written from the numeric specification, "
         "which knows of no cores, packets or cycles."),
        (f"Compared: the int32 logits of {which}, all {report.served.program.vocab_size} of them, "
         f"for equality; and each generated token with the argmax of the golden logits."),
    ]


def _timelines(served: Served, prompts: Sequence[str]) -> dict[str, Any]:
    program, result = served.program, served.result
    found, part = timeline.rows(program, result), timeline.window(program, result)
    figures: list[dict[str, Any]] = []
    if not any(row.bars for row in found) or part is None:
        return {"timelines": figures, "window_words": ""}
    names = [_short(prompt) for prompt in prompts]
    # Ids are given out in order of admission and are unique until the first is used again.
    direct = len(prompts) <= program.sequences and not any(r.preemptions for r in result.requests)
    used = 1 + max((bar.sequence for row in found for bar in row.bars), default=0)
    legend = names if direct else [f"sequence {n}" for n in range(min(used, timeline.COLOURS))]
    figures.append({
        "svg": Markup(timeline.progress(result, names, part)),
        "caption": "The whole run: a tall tick for the result of each generated token, a short one "
                   "for each prompt token before the last; shaded: the window of the next one."})
    close = timeline.zoom(found, part)
    if close.cycles < 0.7 * part.cycles:
        figures.append({
            "svg": Markup(timeline.timeline(found, part, legend, row_height=10, tips=False)),
            "caption": "The window that the trace rings of all cores kept. One bar: one token in "
                       "one stage, from its first operands to the end of its program."})
    else:
        close = part
    figures.append({
        "svg": Markup(timeline.timeline(found, close, legend)),
        "caption": f"Cycles {close.start:,} to {close.end:,}, enlarged: a token goes down the "
                   f"stages while the next ones follow. Bars of a stage that overlap are tokens "
                   f"that it holds at once in several slots. A stage that joins two inputs "
                   f"(proj, down) starts with the first and waits in its bar for the second."})
    depth = program.machine.core.trace_words
    lost = part.start > 0
    return {"timelines": figures, "window_words":
            f"Each core writes the tokens that it has finished into a ring of {depth} entries, "
            "read after the run. " + (
                f"Older entries are overwritten: the record is complete on all cores from cycle "
                f"{part.start:,} to the end, {part.end:,}, and only that window is drawn below."
                if lost else "Nothing was overwritten in this run: it is drawn whole.")}


def _mesh(served: Served) -> dict[str, Any]:
    program, result = served.program, served.result
    hops = utilisation.flit_hops(result)
    each = sum(hops.values()) / max(result.tokens, 1)
    return {
        "roles": Markup(mesh_map.role_map(program)),
        "roles_caption": f"{len(program.roles)} of {program.machine.mesh.cores} cores are used, "
                         f"placement {program.placement!r}. The small squares are the core's "
                         f"{program.machine.core.macros} macros, filled if they hold weights or KV "
                         "blocks; the line follows the stages in pipeline order.",
        "heat": Markup(mesh_map.heat_map(program, hops, "data flit hops")) if hops else "",
        "heat_words": f"{sum(hops.values()):,} in all, {each:,.0f} per token."}


def _events(result: JobResult) -> list[dict[str, str]]:
    totals = utilisation.event_totals(result)
    return [{"name": name, "total": f"{totals[name]:,}",
             "each": f"{totals[name] / max(result.tokens, 1):,.1f}",
             "meaning": MEANINGS.get(name, "")}
            for name in (counter.name.lower() for counter in Counter) if name in totals]


def _parameters(report: Report) -> list[dict[str, Any]]:
    served = report.served
    machine, program, shape = served.program.machine, served.program, served.model.shape
    macro_bytes = machine.cim.rows * machine.cim.outputs
    total = machine.mesh.cores * machine.core.macros * macro_bytes
    groups: list[dict[str, Any]] = [
        {"name": name, "rows": list(asdict(getattr(machine, part)).items())}
        for name, part in (("Mesh", "mesh"), ("Core", "core"), ("Macro", "cim"),
                           ("Network", "noc"), ("KV store", "kv"))]
    groups[2]["rows"] += [("cycles of a full matrix-vector product", machine.cim.mvm_cycles),
                          ("bytes of all macros", f"{total:,}")]
    groups.append({"name": "Model", "rows": [
        ("checkpoint", report.checkpoint), *asdict(shape).items(),
        ("digest of the integers", served.model.digest[:16])]})
    groups.append({"name": "Program", "rows": [
        ("placement", program.placement), ("stages", len(program.stages)),
        ("cores in use", len(program.roles)), ("context in positions", program.context),
        ("sequences at once", program.sequences)]})
    result = served.result
    groups.append({"name": "Wall time in seconds", "rows": [
        ("simulator built (0: cached)", f"{result.build_s:.1f}"),
        ("program loaded", f"{result.load_s:.1f}"), ("run", f"{result.run_s:.1f}"),
        ("everything", f"{served.wall_s:.1f}")]})
    if report.versions:
        groups.append({"name": "Versions", "rows": list(report.versions.items())})
    return groups


def _short(prompt: str, most: int = 22) -> str:
    return prompt if len(prompt) <= most else prompt[:most - 1].rstrip() + "…"
