"""An encoder on a wafer: its chain, what its cores keep of inputs that wait, copies of the model.

Attention of an encoder waits for all of its input; all else goes token by token (the paper's
blocked attention). What waits is more than token slots hold:

- **q** of every token, in the buffer of its head's KV cores beside their slots;
- **the residual**, in the buffers of cores that hold nothing else (waiting cores): it goes there
  instead of to the projection, and on to it when its token's turn has come;
- **K and V**, in macros as those of a decoder, until the last token has attended; none grow.

The programs are those of a decoder of the same dimensions with every token at the last position of
its input. Ones that keep q and residual there do not exist yet, so this is an estimate, not a model
of RTL.
"""

from dataclasses import replace
from functools import cached_property
from math import ceil

import numpy as np

from ouroboros.hw.params.isa import Type
from ouroboros.hw.params.machine import Machine
from ouroboros.sw.block.schemes import residual_type
from ouroboros.sw.block.sizes import Sizes, divide
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.blocks import KINDS, SPANS, LayerWays, model_chain
from ouroboros.sw.wafer.chain import Chain, Ints, Window
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.inputs import Passed, pass_inputs
from ouroboros.sw.wafer.requests import Requests
from ouroboros.sw.wafer.run import Run, Traffic
from ouroboros.sw.wafer.service import Service

__all__ = ["EncoderService", "encoder_service"]

ATTENTION = KINDS.index("attention")
SLOTS = {kind: (max(first, ATTENTION) if last >= ATTENTION else first, last)
         for kind, (first, last) in SPANS.items()}
"""Slots behind attention are taken when a token's turn has come, not before its QKV."""


class EncoderService(Service):
    """An encoder on a wafer.

    Parameters
    ----------
    wafer : Wafer
        An encoder; its context is the longest input that programs have room for.

    Raises
    ------
    PerfError
        If an input as long does not fit; the message has the longest that does.
    """

    def __init__(self, wafer: Wafer):
        super().__init__(wafer)
        if wafer.context > self.longest:
            raise PerfError(f"an input must be at most {self.longest} tokens ({self._limit[1]}), "
                            f"not {wafer.context}")

    @cached_property
    def _limit(self) -> tuple[int, str]:
        """Longest input, and what limits it."""
        wafer, machine, graph = self.wafer, self.wafer.machine, self.wafer.graph
        inputs = max(1, int(wafer.value("encoder_inputs_waiting")))
        limits = [(self.rules.sequence_blocks * wafer.members * machine.block_tokens,
                   "the KV blocks of a sequence"),
                  (graph.kv_blocks // inputs * wafer.members * machine.block_tokens,
                   f"the KV of {inputs} inputs"),
                  (self.queries_waiting // inputs,
                   f"queries of {inputs} inputs in the buffer of a KV core")]
        if wafer.shape.position_rows:
            limits.append((wafer.shape.position_rows, "the model's positions"))
        return min(limits)

    @property
    def longest(self) -> int:
        """Tokens of the longest input."""
        return self._limit[0]

    @cached_property
    def queries_waiting(self) -> int:
        """Tokens whose q the buffer of a KV core holds beside its slots."""
        wafer, core = self.wafer, self.wafer.machine.core
        stage = next(one for one in wafer.graph.stages if one.kv is not None)
        heads = wafer.count.kv_heads * (wafer.shape.n_heads // wafer.shape.n_kv_heads)
        each = heads * Sizes(wafer.machine).words(wafer.shape.head_dim, Type.I8)
        return (core.buffer_words - stage.info.slots * stage.words) // each

    @property
    def tokens_waiting(self) -> int:
        """Tokens that a block keeps until their inputs are there."""
        return max(1, int(self.wafer.value("encoder_inputs_waiting"))) * self.wafer.context

    @cached_property
    def waiting_cores(self) -> int:
        """Cores of a copy whose buffers keep residuals, beside those that the mapper counts."""
        wafer, core = self.wafer, self.wafer.machine.core
        words = Sizes(wafer.machine).words(wafer.shape.dim, residual_type(wafer.graph.scheme))
        return wafer.shape.n_layers * divide(self.tokens_waiting * words, core.buffer_words)

    @property
    def copies(self) -> int:
        """Copies of the model on the wafer, which inputs are dealt to in turn.

        Raises
        ------
        PerfError
            If not as many fit as were asked for.
        """
        count = self.wafer.count
        fit = (count.live - count.spares) // (count.tiles + self.waiting_cores)
        asked = int(self.wafer.value("encoder_copies"))
        if not 1 <= (asked or 1) <= fit:
            raise PerfError(f"encoder_copies must be at most {fit}, of {count.tiles:,} cores and "
                            f"{self.waiting_cores:,} for what waits each, not {asked or 1}")
        return asked or fit

    @cached_property
    def chain(self) -> Chain:
        """A copy as tokens see it."""
        wafer = self.wafer
        # The residual crosses the mesh once more, and the busiest link with its share of it.
        share = (wafer.value("busiest_link_share") if wafer.busiest_link is None
                 else wafer.link_flits / wafer.block_flits)
        more = LayerWays({}, {"mesh": ceil(share * wafer.waiting_flits)})
        layers = range(wafer.shape.n_layers)
        chain = model_chain(wafer, dict.fromkeys(layers, more), SLOTS)
        at = [n for n, cell in enumerate(chain.cells) if cell.context]
        waiting = tuple(Window(f"what waits in {layer}", n - ATTENTION, n, self.tokens_waiting, 0)
                        for layer, n in zip(layers, at, strict=True))
        return replace(chain, windows=(*chain.windows, *waiting))

    def serve(self, requests: Requests, *, mode: str = "exact",
              clock_hz: float | None = None) -> Run:
        """Serve inputs; those that are too long are refused. Every mode is exact.

        Parameters
        ----------
        requests : Requests
            Inputs; each has one output, the result.
        mode : str
            As for ``Service``.
        clock_hz : float, optional
            Other clock than the wafer's.

        Raises
        ------
        PerfError
            If more than a result is asked for.
        """
        if (requests.outputs != 1).any():
            raise PerfError("output_tokens must be 1 for an encoder (its result), not "
                            f"{int(requests.outputs.max())}")
        traffic = requests.at(clock_hz or self.wafer.clock_hz)
        return self._run(traffic, np.flatnonzero(traffic.prompts <= self.wafer.context))

    def _run(self, traffic: Traffic, fits: Ints) -> Run:
        count = len(traffic.prompts)
        end, by_context = np.zeros(count, np.int64), np.zeros(self.wafer.context + 1, np.int64)
        lengths = traffic.prompts[fits]
        np.add.at(by_context, lengths, lengths)
        blocks, copies = -(-lengths // self.rules.block_tokens), self.copies
        area, peak = 0, 0.0
        room = self.rules.members * self.rules.blocks
        for copy in range(copies):
            own = fits[copy::copies]
            passed = pass_inputs(self.chain, traffic.arrivals[own], traffic.prompts[own])
            end[own] = passed.end
            held = blocks[copy::copies]
            area += int(((passed.left - passed.kept) * held[:, None]).sum())
            peak = max(peak, _most(passed, held) / room)
        cycles = int(end.max(initial=0))
        served = np.zeros(count, np.bool_)
        served[fits] = True
        alive = int((end[fits] - traffic.arrivals[fits]).sum())
        return Run(
            traffic=traffic, served=served, generated=served.astype(np.int64),
            preemptions=np.zeros(count, np.int64), first=end, end=end, by_context=by_context,
            recomputed=0, poisoned=0, frees=0, injected=int(lengths.sum()), cycles=cycles,
            kv_share=area / max(cycles, 1) / (room * self.wafer.shape.n_layers * copies),
            kv_peak=peak, sequences=alive / max(cycles, 1), long_tokens=0,
            nodes=len(self.chain.cells))


def _most(passed: Passed, blocks: Ints) -> int:
    """Most KV blocks in use in a block of the model at any time."""
    most = 0
    for layer in range(passed.kept.shape[1]):
        times = np.concatenate((passed.left[:, layer], passed.kept[:, layer]))
        changes = np.concatenate((-blocks, blocks))
        # What is given back in a cycle may be taken in the same one.
        most = max(most, int(changes[np.lexsort((changes, times))].cumsum().max(initial=0)))
    return most


def encoder_service(machine: Machine, shape: ModelShape, options: WaferOptions,
                    requests: Requests, longest: int | None) -> EncoderService:
    """A service with room for inputs, with the members of a head that give most tokens/s.

    Parameters are those of ``service``.
    """
    if options.wafers != 1:
        raise PerfError(f"wafers must be 1 for an encoder, not {options.wafers}: it has copies")
    size, options = machine.block_tokens, replace(options, whole_inputs=True)
    top = Wafer(machine, shape, replace(options, context=1), options.members or 1)
    wanted = longest or -(-int(requests.prompts.max()) // size) * size

    def made(members: int) -> EncoderService:
        short = EncoderService(Wafer(machine, shape, replace(options, context=1), members))
        context = wanted if longest else min(wanted, short.longest)
        return EncoderService(Wafer(machine, shape, replace(options, context=context), members))

    if options.members is not None:
        return made(options.members)
    tried = [made(members) for members in range(1, top.count.most_members + 1)]
    return max(tried, key=lambda one: one.copies / one.wafer.interval_cycles)
