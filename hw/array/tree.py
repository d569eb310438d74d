"""Adder tree over the macros of a core."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.bus import drain_signature
from ouroboros.hw.params.cim import TREE_LEVELS_PER_REGISTER, tree_latency_cycles
from ouroboros.hw.params.machine import Machine

__all__ = ["AdderTree", "leaves_layout"]


def leaves_layout(machine: Machine) -> data.StructLayout:
    """One beat of every macro, the mask of those to be added, and the valid lanes."""
    lanes = data.ArrayLayout(signed(32), machine.core.lanes)
    return data.StructLayout({
        "leaves": data.ArrayLayout(lanes, machine.core.macros),
        "mask":   machine.core.macros,
        "valid":  machine.core.lanes,
    })


class AdderTree(wiring.Component):
    """Adds the masked leaves lane by lane, modulo 2**32; none gives zeros.

    A node with two live subtrees adds, with one passes it on, with none gives 0: leaves outside the
    mask enter as 0. ``valid`` goes along unchanged. A register follows every two levels of adders;
    a beat appears at ``o`` ``latency_cycles`` cycles after it was accepted, one beat per cycle.
    Bubbles are closed up while ``o`` is blocked: up to ``latency_cycles`` beats wait inside.

    Parameters
    ----------
    machine : Machine
        ``core.macros`` leaves of ``core.lanes`` lanes.

    Members
    -------
    i : In(stream(leaves_layout(machine)))
        Leaves.
    o : Out(drain_signature(machine))
        Sums, in the same order.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        self.latency_cycles = tree_latency_cycles(machine.core.macros)
        super().__init__({
            "i": In(stream.Signature(leaves_layout(machine))),
            "o": Out(drain_signature(machine)),
        })

    def elaborate(self, platform):
        m = Module()

        lanes = self.machine.core.lanes
        beat = self.i.p
        node_lanes = [[Mux(beat.mask[leaf], beat.leaves[leaf][lane], 0) for lane in range(lanes)]
                      for leaf in range(self.machine.core.macros)]
        lanes_valid, beat_valid, ready = beat.valid, self.i.valid, self.i.ready

        for stage in range(self.latency_cycles):
            for _ in range(TREE_LEVELS_PER_REGISTER):
                node_lanes = _add_pairs(node_lanes)
            full, stage_ready = (Signal(name=f"{name}_{stage}") for name in ("full", "ready"))
            sums = [[Signal(signed(32), name=f"sum_{stage}_{node}_{lane}") for lane in range(lanes)]
                    for node in range(len(node_lanes))]
            valid = Signal(lanes, name=f"valid_{stage}")
            m.d.comb += ready.eq(~full | stage_ready)
            with m.If(ready):
                m.d.sync += full.eq(beat_valid)
                with m.If(beat_valid):
                    m.d.sync += valid.eq(lanes_valid)
                    for node, terms in zip(sums, node_lanes, strict=True):
                        m.d.sync += [total.eq(term)
                                     for total, term in zip(node, terms, strict=True)]
            node_lanes, lanes_valid, beat_valid, ready = sums, valid, full, stage_ready

        m.d.comb += [
            ready.eq(self.o.ready),
            self.o.valid.eq(beat_valid),
            self.o.p.valid.eq(lanes_valid),
            *(self.o.p.data[lane].eq(total) for lane, total in enumerate(node_lanes[0])),
        ]

        return m


def _add_pairs(nodes):
    if len(nodes) == 1:
        return nodes
    return [[a + b for a, b in zip(left, right, strict=True)]
            for left, right in zip(nodes[::2], nodes[1::2], strict=True)]
