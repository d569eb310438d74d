"""APPEND of the KV tile manager: marks a token, with a new block if need be."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.kv.layout import kv_command_layout, place_layouts
from ouroboros.hw.kv.tables import page_layout
from ouroboros.hw.params.machine import Machine

__all__ = ["TokenAppender"]


class TokenAppender(wiring.Component):
    """Makes a token valid in its block; if the block does not exist, has a place found for it.

    The page of the block and the slot of its (sequence, head) are read in the cycle of ``start``.
    ``ended`` comes ``KV_APPEND_CYCLES - 1`` cycles later, one earlier if the command is not legal,
    ``KV_ALLOCATE_CYCLES`` or more later with a new block.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    start, ended : In(1), Out(1)
        First cycle, in which nothing happens yet, and last one.
    legal, block, token : In
        The command, from the cycle after ``start``.
    ok : Out(1)
        With ``ended``: the token is valid now, in the block at ``k``, ``v``.
    k, v : Out
        Place of the block.
    page, tokens : In
        What was read last.
    read_before, read_tokens, write_tokens, new_tokens : Out
        Reads the page of the block before; reads or replaces the bits of the block at ``k``.
    search, follows : Out(1)
        Begins a search; there is a block before, on ``page``.
    found, full, new_k, new_v : In
        Its end, and what it found.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        command, places = kv_command_layout(machine), place_layouts(machine)
        super().__init__({
            "start":        In(1),
            "ended":        Out(1),
            "legal":        In(1),
            "block":        In(command["block"].shape),
            "token":        In(command["token"].shape),
            "ok":           Out(1),
            "k":            Out(places["k"]),
            "v":            Out(places["v"]),
            "page":         In(page_layout(machine)),
            "tokens":       In(machine.cim.outputs),
            "read_before":  Out(1),
            "read_tokens":  Out(1),
            "write_tokens": Out(1),
            "new_tokens":   Out(machine.cim.outputs),
            "search":       Out(1),
            "follows":      Out(1),
            "found":        In(1),
            "full":         In(1),
            "new_k":        In(places["k"]),
            "new_v":        In(places["v"]),
        })

    def elaborate(self, platform):
        m = Module()

        m.d.comb += [self.k.eq(self.page.k), self.v.eq(self.page.v),
                     self.new_tokens.eq(self.tokens | (1 << self.token))]
        with m.If(self.found):
            m.d.comb += [self.k.eq(self.new_k), self.v.eq(self.new_v),
                         self.new_tokens.eq(1 << self.token)]

        with m.FSM():
            with m.State("Await"):
                with m.If(self.start):
                    m.next = "CheckPage"
            with m.State("CheckPage"):
                with m.If(~self.legal):
                    m.d.comb += self.ended.eq(1)
                    m.next = "Await"
                with m.Elif(self.page.valid):
                    m.d.comb += self.read_tokens.eq(1)
                    m.next = "MarkToken"
                with m.Else():
                    m.d.comb += self.read_before.eq(1)
                    m.next = "StartSearch"
            with m.State("MarkToken"):
                m.d.comb += [self.write_tokens.eq(1), self.ended.eq(1), self.ok.eq(1)]
                m.next = "Await"
            with m.State("StartSearch"):
                m.d.comb += [self.search.eq(1),
                             self.follows.eq((self.block != 0) & self.page.valid)]
                m.next = "Search"
            with m.State("Search"):
                m.d.comb += [self.write_tokens.eq(self.found), self.ok.eq(self.found),
                             self.ended.eq(self.found | self.full)]
                with m.If(self.ended):
                    m.next = "Await"

        return m
