"""APPEND of the KV tile manager: marks a token, with a new block if need be."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.kv.layout import kv_command_layout
from ouroboros.hw.params.machine import Machine

__all__ = ["TokenAppender"]


class TokenAppender(wiring.Component):
    """Makes a token valid in its block; if the block does not exist, has a place found for it.

    The page of the block is looked for in the cycle of ``start``. ``ended`` comes
    ``KV_APPEND_CYCLES - 1`` cycles later, one earlier if the command is not legal,
    ``KV_ALLOCATE_CYCLES`` later with a new block, and one earlier than that if there is no room.

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
        With ``ended``: the token is valid now.
    hit, exact : In(1)
        What was found last: a page, and it is that of the block looked for.
    tokens : In
        Bits that were read last.
    find_kin : Out(1)
        Looks for the block before, or any of its (sequence, head).
    read : Out(1)
        Reads the page that was found.
    follows : Out(1)
        From the cycle after ``search`` on: what was found is the block before.
    search, found, full : Out(1), In(1), In(1)
        Begins a search for a place; its end.
    write_tokens, new_tokens : Out
        Replaces the bits of the page that was found, or taken.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        command = kv_command_layout(machine)
        super().__init__({
            "start":        In(1),
            "ended":        Out(1),
            "legal":        In(1),
            "block":        In(command["block"].shape),
            "token":        In(command["token"].shape),
            "ok":           Out(1),
            "hit":          In(1),
            "exact":        In(1),
            "tokens":       In(machine.cim.outputs),
            "find_kin":     Out(1),
            "read":         Out(1),
            "follows":      Out(1),
            "search":       Out(1),
            "found":        In(1),
            "full":         In(1),
            "write_tokens": Out(1),
            "new_tokens":   Out(machine.cim.outputs),
        })

    def elaborate(self, platform):
        m = Module()

        m.d.comb += [self.new_tokens.eq(self.tokens | (1 << self.token)),
                     self.follows.eq(self.exact & (self.block != 0))]
        with m.If(self.found):
            m.d.comb += self.new_tokens.eq(1 << self.token)

        with m.FSM():
            with m.State("Await"):
                with m.If(self.start):
                    m.next = "CheckPage"
            with m.State("CheckPage"):
                with m.If(~self.legal):
                    m.d.comb += self.ended.eq(1)
                    m.next = "Await"
                with m.Elif(self.hit):
                    m.d.comb += self.read.eq(1)
                    m.next = "MarkToken"
                with m.Else():
                    m.d.comb += self.find_kin.eq(1)
                    m.next = "StartSearch"
            with m.State("MarkToken"):
                m.d.comb += [self.write_tokens.eq(1), self.ended.eq(1), self.ok.eq(1)]
                m.next = "Await"
            with m.State("StartSearch"):
                m.d.comb += [self.read.eq(1), self.search.eq(1)]
                m.next = "Search"
            with m.State("Search"):
                m.d.comb += [self.write_tokens.eq(self.found), self.ok.eq(self.found),
                             self.ended.eq(self.found | self.full)]
                with m.If(self.ended):
                    m.next = "Await"

        return m
