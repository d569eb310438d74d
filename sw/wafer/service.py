"""A model on a wafer that serves requests: the chain of its blocks, the room of its members."""

from dataclasses import replace
from functools import cached_property

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.blocks import model_chain
from ouroboros.sw.wafer.chain import Chain
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.members import estimate
from ouroboros.sw.wafer.policy import Rules
from ouroboros.sw.wafer.requests import Requests
from ouroboros.sw.wafer.run import Run, run

__all__ = ["Service", "service"]


class Service:
    """A model on a wafer, with a policy.

    Parameters
    ----------
    wafer : Wafer
        The model; its context is the longest that programs have room for.
    headroom_blocks : int
        KV blocks kept free for growth when a sequence is admitted.
    static_tokens : int
        Tokens that every sequence reserves; 0: as many as it has.
    grain : str
        ``token`` or ``sequence``.

    Raises
    ------
    PerfError
        If an option is out of range.
    """

    def __init__(self, wafer: Wafer, *, headroom_blocks: int = 1, static_tokens: int = 0,
                 grain: str = "token"):
        if static_tokens > wafer.context:
            raise PerfError(f"static tokens must be at most {wafer.context}, the context of the "
                            f"programs, not {static_tokens}")
        self.wafer, self.grain = wafer, grain
        machine, graph = wafer.machine, wafer.graph
        self.rules = Rules(
            block_tokens=machine.block_tokens, members=wafer.members, blocks=graph.kv_blocks,
            sequence_blocks=min(graph.kv_sequence_blocks, machine.kv.blocks),
            sequences=machine.kv.sequences, context=wafer.context,
            headroom_blocks=headroom_blocks, ring=int(machine.kv.ring), static_tokens=static_tokens)

    @property
    def copies(self) -> int:
        """Copies of the model that requests are dealt to in turn."""
        return 1

    @cached_property
    def chain(self) -> Chain:
        """The machine as tokens see it."""
        return model_chain(self.wafer)

    def serve(self, requests: Requests, *, mode: str = "exact",
              clock_hz: float | None = None) -> Run:
        """Serve requests.

        Parameters
        ----------
        requests : Requests
            What arrives when.
        mode : str
            See ``sw.wafer.run``.
        clock_hz : float, optional
            Other clock than the wafer's: arrivals in cycles depend on it.
        """
        if mode == "fast" and self.wafer.wafers > 1:
            mode = "exact"      # blocks on both sides of a link between wafers are not alike
        return run(self.chain, self.rules, requests.at(clock_hz or self.wafer.clock_hz), mode=mode,
                   grain=self.grain)


def service(machine: Machine, shape: ModelShape, options: WaferOptions, requests: Requests,
            longest: int | None, **policy: int | bool | str) -> Service:
    """A service whose programs have room for requests.

    Parameters
    ----------
    machine, shape, options
        As for ``Wafer``; ``options.context`` is not used.
    requests : Requests
        Whose longest sets the context, if it fits the machine.
    longest : int, optional
        The context instead.
    policy
        As for ``Service``.
    """
    size = machine.block_tokens
    members = options.members
    if members is None:
        # The best for a typical request, by the estimate of one token.
        typical = int((requests.prompts + requests.outputs).mean())
        best, _ = estimate(machine, shape, replace(options, context=max(1, typical)))
        members = best.members
    shortest = Wafer(machine, shape, replace(options, context=1), members)
    wanted = longest or min(-(-requests.longest // size) * size, shortest.most_context)
    wafer = Wafer(machine, shape, replace(options, context=wanted), members)
    return Service(wafer, **policy)  # type: ignore[arg-type]
