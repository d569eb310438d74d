"""Systems of equal devices with a memory each, that batch: GPUs, TPUs, GPUs with memory that adds.

A model is cut over as few devices as hold it; what is left over of the system are replicas, which
requests are dealt to in turn.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ouroboros.hw.params.values import Value
from ouroboros.sw.baselines.batching import Batched, Rules, StepTimes, serve_batches
from ouroboros.sw.baselines.errors import BaselineError
from ouroboros.sw.baselines.served import Energy, Served
from ouroboros.sw.baselines.traffic import Traffic
from ouroboros.sw.lib.quantities import Quantities, quantity
from ouroboros.sw.models.shape import ModelShape

__all__ = ["Constants", "Devices", "Work", "work_of"]

FILLED = 0.5
"""Most of the memory that weights take, where more devices could share them."""


@dataclass(frozen=True, kw_only=True)
class Constants(Quantities):
    """One device, its links, and how much of them a program gets."""

    WORDS: ClassVar[str] = "constant"

    devices: Value = quantity("1")
    """In the system."""
    peak_tflops: Value = quantity("TFLOPS")
    """Of one device, in the format that it computes in."""
    memory_gb: Value = quantity("GB")
    """Of one device, in 1e9 bytes."""
    memory_share: Value = quantity("1")
    """Of it that weights and KV may take."""
    bandwidth_gb_s: Value = quantity("GB/s")
    """Of the memory of one device, in 1e9 bytes."""
    kv_bandwidth_gb_s: Value = quantity("GB/s")
    """Of that which reads K and V."""
    weight_bytes: Value = quantity("B")
    """Of a weight, and of an element of K and V."""
    block_tokens: Value = quantity("tokens")
    """Of a KV block."""
    sequences: Value = quantity("1")
    """Most of one replica at once, unless the user says otherwise."""
    flops_share: Value = quantity("1")
    """Of the peak that large products get."""
    bandwidth_share: Value = quantity("1")
    """Of the bandwidth that weights are read with."""
    kv_share: Value = quantity("1")
    """Of the bandwidth that K and V are read with."""
    corner: Value = quantity("1")
    """Exponent that rounds the maximum of memory and arithmetic."""
    layer_us: Value = quantity("us", zero=True)
    """Of a step, for every block of the model, whatever it does."""
    sequence_us: Value = quantity("us", zero=True)
    """Of a step, for every sequence."""
    exchange_us: Value = quantity("us", zero=True)
    """Latency of a sum over the devices of a replica; there are two in a block."""
    exchange_gb_s: Value = quantity("GB/s")
    """Bandwidth of such a sum: bytes that a device sends, over time."""
    system_w: Value = quantity("W")
    """Power of the system at full load."""
    typical_share: Value = quantity("1")
    """Of that power, while it decodes."""
    idle_share: Value = quantity("1", zero=True)
    """Of that power, while it waits."""
    memory_pj_per_bit: Value = quantity("pJ/bit")
    """Reading the memory; its lowest and highest are both reported."""
    flop_pj: Value = quantity("pJ")
    """One floating-point operation of a product."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What a model asks of one replica."""

    body: int
    """Weights of all blocks."""
    head: int
    """Weights of the head."""
    memory: int
    """Weights with the embedding."""
    kv: int
    """Elements of K and V of a token."""
    attention: int
    """Operations of attention within a prompt, over the square of its length."""


def work_of(shape: ModelShape) -> Work:
    """Of a decoder, or of an encoder, whose tokens attend to the whole prompt.

    Raises
    ------
    BaselineError
        If the model is neither.
    """
    if shape.kind == "encoder-decoder":
        raise BaselineError(f"kind of model {shape.name!r} must be 'decoder' or 'encoder' for a "
                            f"baseline, not {shape.kind!r}")
    squares = 2 if shape.kind == "encoder" else 1
    head = shape.head * shape.vocab_size * shape.dim
    # Two products of 2 operations an element, with half of a square of positions, or all of it.
    return Work(body=shape.weight_bytes - head, head=head, memory=shape.parameters,
                kv=shape.kv_bytes_per_token, attention=2 * squares * shape.n_layers * shape.q_width)


@dataclass(frozen=True, kw_only=True, slots=True)
class Devices:
    """A baseline of such devices."""

    name: str
    """By which the command line knows it."""
    title: str
    """What it is."""
    constants: Constants
    """Its figures."""

    def value(self, name: str) -> float:
        """A constant."""
        return float(getattr(self.constants, name).mid)

    @property
    def memory_bytes(self) -> float:
        """Of one device, for weights and KV."""
        return self.value("memory_gb") * 1e9 * self.value("memory_share")

    def cut(self, shape: ModelShape, over: int | None = None) -> int:
        """Devices of one replica: the fewest that weights fill by half, or else that hold them.

        Raises
        ------
        BaselineError
            If not even all devices do, or ``over`` is not possible.
        """
        devices = int(self.value("devices"))
        known = [n for n in (1, 2, 4, 8, 16, 32, 64) if devices % n == 0 and n <= devices]
        held = work_of(shape).memory * self.value("weight_bytes") / self.memory_bytes
        if over is not None and over not in known:
            raise BaselineError(f"tensor_parallel must be one of "
                                f"{', '.join(map(str, known))} on {self.name}, not {over}")
        fits = [n for n in known if held / n < 1]
        if not fits or (over is not None and over not in fits):
            raise BaselineError(f"weights of {shape.name} must be at most "
                                f"{self.memory_bytes * (over or devices) / 1e9:.1f} GB (what "
                                f"{over or devices} devices of {self.name} hold), not "
                                f"{held * self.memory_bytes / 1e9:.1f} GB")
        return over or next((n for n in fits if held / n <= FILLED), fits[-1])

    def step_times(self, shape: ModelShape, over: int) -> StepTimes:
        """Times of one replica of ``over`` devices."""
        work, size = work_of(shape), self.value("weight_bytes")
        flops = self.value("peak_tflops") * 1e12 * self.value("flops_share") * over
        memory = self.value("bandwidth_gb_s") * 1e9 * self.value("bandwidth_share") * over
        kv = self.value("kv_bandwidth_gb_s") * 1e9 * self.value("kv_share") * over
        sums = 2 * shape.n_layers * (over > 1)
        # In a ring a device sends (n - 1) / n of the vector twice: to add up, and to tell.
        sent = 2 * (over - 1) / over * shape.dim * size
        return StepTimes(
            fixed_s=(self.value("layer_us") * shape.n_layers
                     + self.value("exchange_us") * sums) * 1e-6,
            weights_s=(work.body + work.head) * size / memory,
            token_s=2 * work.body / flops, result_s=2 * work.head / flops,
            corner=self.value("corner"), context_s=work.kv * size / kv,
            square_s=work.attention / flops,
            exchange_s=sums * sent / (self.value("exchange_gb_s") * 1e9),
            sequence_s=self.value("sequence_us") * 1e-6)

    def rules(self, shape: ModelShape, over: int, sequences: int | None = None) -> Rules:
        """Limits of one replica."""
        work, size = work_of(shape), self.value("weight_bytes")
        free = self.memory_bytes * over - work.memory * size
        block = int(self.value("block_tokens"))
        return Rules(sequences=sequences or int(self.value("sequences")), block_tokens=block,
                     kv_blocks=int(free / (work.kv * size * block)))

    def serve(self, shape: ModelShape, traffic: Traffic, *, over: int | None = None,
              sequences: int | None = None) -> Served:
        """Serve traffic with all devices.

        Parameters
        ----------
        over : int, optional
            Devices of a replica; by default as ``cut`` says.
        sequences : int, optional
            Most of a replica at once.

        Raises
        ------
        BaselineError
            If the model does not fit.
        """
        over = self.cut(shape, over)
        replicas = int(self.value("devices")) // over
        times, rules = self.step_times(shape, over), self.rules(shape, over, sequences)
        first, finish = np.full(traffic.requests, np.nan), np.full(traffic.requests, np.nan)
        runs = []
        for replica in range(min(replicas, traffic.requests)):
            run = serve_batches(traffic.share(replica, replicas), times, rules)
            first[replica::replicas], finish[replica::replicas] = run.first_s, run.finish_s
            runs.append(run)
        served = Served(
            machine=self.name, model=shape.name, traffic=traffic, first_s=first, finish_s=finish,
            recomputed=sum(run.recomputed for run in runs), energies=(),
            notes={"replicas": replicas, "devices_of_a_replica": over,
                   "sequences_of_a_replica": rules.sequences, "kv_tokens_of_a_replica":
                   rules.kv_blocks * rules.block_tokens, "steps": sum(run.steps for run in runs),
                   "busy_s": [run.busy_s for run in runs]})
        return replace(served, energies=self.energies(shape, over, runs, served.seconds))

    def energies(self, shape: ModelShape, over: int, runs: list[Batched],
                 seconds: float) -> tuple[Energy, ...]:
        """Of the system: as shares of its power, and as counted bytes and operations."""
        c, watts, devices = self.constants, self.value("system_w"), self.value("devices")
        busy = sum(run.busy_s for run in runs) * over / devices
        idle = max(seconds - busy, 0.0) * self.value("idle_share")
        found = [Energy(name=f"{share:.0%} of full power while busy",
                        joules=watts * (share * busy + idle), source=source)
                 for share, source in ((1.0, c.system_w.source),
                                       (c.typical_share.mid, c.typical_share.source))]
        work, size = work_of(shape), self.value("weight_bytes")
        read = size * sum((work.body + work.head) * run.steps + work.kv * (run.context + run.tokens)
                          for run in runs)
        flops = sum(2 * work.body * run.tokens + 2 * work.head * run.results
                    + work.attention * (run.squares + 2 * run.context) for run in runs)
        still = watts * self.value("idle_share") * seconds
        counted = (Energy(
            name=f"counted, memory at {value:g} pJ/bit", source=c.memory_pj_per_bit.source,
            joules=(read * 8 * value + flops * self.value("flop_pj")) * 1e-12 + still)
            for value in dict.fromkeys(c.memory_pj_per_bit.spread))
        return (*found, *counted)
