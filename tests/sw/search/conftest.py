"""Small instances, and an evaluator written from the rules alone: slow, in fractions."""

from fractions import Fraction

import numpy as np
import pytest

from ouroboros.sw.search.problem.costs import moved, on_kind
from ouroboros.sw.search.problem.instance import Energy, Instance, Kind, Model, Request
from ouroboros.sw.search.problem.layers import NONE, STAGES, Layers
from ouroboros.sw.search.problem.mapping import Mapping


@pytest.fixture
def make_small():
    """Factory of small instances; keyword arguments change them."""
    def make(*, columns=3, rows=2, buffers=(4096, 2048), **changes):
        kinds = (Kind(type="ws", rows=8, cols=4, buffer=buffers[0], e_buf=2.0),
                 Kind(type="os", rows=4, cols=16, buffer=buffers[1], e_buf=1.5))
        values = {
            "name": "small", "grid": (columns, rows), "kinds": kinds,
            "chip_kind": tuple(n % 2 for n in range(columns * rows)), "link_bw": 4,
            "dram_channels": 2, "dram_bw": 3, "tiles": 2, "ffn_tiles": 4, "blocks": 2,
            "energy": Energy(e_mac=0.1, e_eltwise=0.2, e_hop=16.0, e_dram=84.0,
                             eltwise_per_cycle=8),
            "model": Model(name="m", d=32, h=4, kv=2, dh=8, dff=64, gated=1),
            "micro_batches": ((Request(type="prefill", new=9, hist=4),),
                              (Request(type="decode", new=1, hist=17),
                               Request(type="decode", new=1, hist=3)))}
        return Instance(**(values | changes))
    return make


@pytest.fixture
def make_mapping():
    """Factory of random mappings of an instance."""
    def make(instance, seed, cuts=0.4):
        random = np.random.default_rng(seed)
        return Mapping(
            cuts=(random.random(instance.layers - 1) < cuts).astype(np.int8),
            chips=random.integers(0, instance.chips, (len(instance.micro_batches),
                                                      instance.layers)).astype(np.int16))
    return make


@pytest.fixture
def by_the_rules():
    """Latency (a fraction) and energy of a mapping, by the rules as they stand."""
    return _by_the_rules


def _by_the_rules(instance, mapping, *, contended):
    layers = Layers(instance)
    chips, batches = mapping.chips, len(instance.micro_batches)
    columns, rows = instance.grid
    ports = [row * columns + column for row in range(rows) for column in (0, columns - 1)]
    jobs = _jobs(instance, layers, mapping)
    link = {}
    energy = Fraction(0)
    for job in jobs:
        kind = instance.kinds[instance.chip_kind[job["chip"]]]
        cost = on_kind(job["work"], kind, instance.energy)
        loads, work = {}, job["work"]
        read = work.kv_read + work.given * cost.input_reads
        if work.weights and not (job["again"] and cost.keeps):
            read += work.weights * cost.weight_reads
        for before, bytes_ in job["inputs"]:
            if before["at"] is None:
                read += bytes_ * cost.input_reads
            else:
                for one in _way(columns, before["at"], job["chip"]):
                    loads[one] = loads.get(one, 0) + bytes_ * cost.input_reads
        write = work.kv_write + (work.output - work.kv_write) * (job["written"] or work.result)
        for port in ports:
            for one in _way(columns, port, job["chip"]):
                loads[one] = loads.get(one, 0) + Fraction(read, len(ports))
            for one in _way(columns, job["chip"], port):
                loads[one] = loads.get(one, 0) + Fraction(write, len(ports))
        energy += Fraction(cost.energy_pj) + Fraction(instance.energy.e_hop) * sum(
            loads.values()) + Fraction(instance.energy.e_dram) * (read + write)
        job |= {"cycles": cost.cycles, "loads": {k: v for k, v in loads.items() if v},
                "dram": read + write}
    link_bw = Fraction(str(instance.link_bw))
    dram_bw = instance.dram_channels * Fraction(str(instance.dram_bw))
    queues = [[job for job in jobs if job["chip"] == chip] for chip in range(instance.chips)]
    free = [Fraction(0)] * instance.chips
    ends, dram_free = {}, Fraction(0)
    while any(queues):
        able = []
        for chip, queue in enumerate(queues):
            if queue and all(key in ends for key in queue[0]["needs"]):
                able.append((max([free[chip], *(ends[key] for key in queue[0]["needs"])]), chip))
        start, chip = min(able)
        job = queues[chip].pop(0)
        end = start + job["cycles"]
        if contended:
            if job["dram"]:
                dram_free = max(start, dram_free) + job["dram"] / dram_bw
                end = max(end, dram_free)
            for one, bytes_ in job["loads"].items():
                link[one] = max(start, link.get(one, 0)) + bytes_ / link_bw
                end = max(end, link[one])
        else:
            end = max([end, start + job["dram"] / dram_bw,
                       *(start + bytes_ / link_bw for bytes_ in job["loads"].values())])
        ends[job["key"]] = free[chip] = end
    assert len(ends) == batches * instance.layers == chips.size
    return max(ends.values()), energy


def _jobs(instance, layers, mapping):
    """Layers in list order, with where their inputs are found."""
    jobs, last, made = [], {}, {}
    low = 0
    while low < instance.layers:
        high = low
        while high < instance.layers - 1 and not mapping.cuts[high]:
            high += 1
        for batch, requests in enumerate(instance.micro_batches):
            for layer in range(low, high + 1):
                stage = int(layers.stage[layer])
                chip = int(mapping.chips[batch, layer])
                work = moved(instance, requests, STAGES[stage % len(STAGES)],
                             first=stage < len(STAGES),
                             last=stage == layers.sizes.size - 1)
                reads = []
                if layers.whole[layer] != NONE:
                    reads += [(int(one), work.from_each)
                              for one in np.flatnonzero(layers.stage == layers.whole[layer])]
                if layers.single[layer] != NONE:
                    reads.append((int(layers.single[layer]), work.from_single))
                inputs = []
                for other, bytes_ in reads:
                    source = made[batch, other]
                    buffer = instance.kinds[instance.chip_kind[source["chip"]]].buffer
                    there = last[source["chip"]] is source and \
                        2 * source["work"].output <= buffer
                    if not there:
                        source["written"] = True
                    inputs.append(({"at": source["chip"] if there else None}, bytes_))
                job = {"key": (batch, layer), "chip": chip, "work": work, "inputs": inputs,
                       "again": chip in last and last[chip]["key"][1] == layer,
                       "written": False, "needs": [(batch, other) for other, _ in reads]}
                jobs.append(job)
                last[chip] = made[batch, layer] = job
        low = high + 1
    return jobs


def _way(columns, start, end):
    """Links from a chip to another, x first."""
    (x, y), (u, v) = (start % columns, start // columns), (end % columns, end // columns)
    found = []
    while (x, y) != (u, v):
        to = (x + (u > x) - (u < x), y) if x != u else (x, y + (v > y) - (v < y))
        found.append(((x, y), to))
        x, y = to
    return found
