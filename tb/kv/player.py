"""A KV manager that is given commands by the batch: the simulator runs on its own in between."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.kv.layout import kv_command_layout, kv_reply_layout
from ouroboros.hw.kv.manager import KvManager
from ouroboros.hw.lib.bus import ConfigBus
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import Machine

__all__ = ["BATCH", "KvPlayer", "player_sources"]

BATCH = 64
"""Commands at once."""


class KvPlayer(wiring.Component):
    """Commands go in back to back, but for pauses; replies are kept.

    Members
    -------
    config : In(ConfigBus)
        The manager's.
    commands : In
        ``BATCH`` of ``kv_command_layout``, the first one lowest.
    count : In
        How many of them.
    pauses : In
        Bit n: the port stands still for a cycle before command n, and reply n waits for one.
    go : In(1)
        For a cycle: play them.
    replies : Out
        ``BATCH`` of ``kv_reply_layout``.
    done : Out(1)
        All have been replied to.
    used : Out
        The manager's.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        self.manager = KvManager(machine)
        super().__init__({
            "config":   In(ConfigBus(machine)),
            "commands": In(BATCH * kv_command_layout(machine).size),
            "count":    In(range(BATCH + 1)),
            "pauses":   In(BATCH),
            "go":       In(1),
            "replies":  Out(BATCH * kv_reply_layout(machine).size),
            "done":     Out(1),
            "used":     Out(range(machine.kv.pages + 1)),
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.manager = manager = self.manager
        connect(m, flipped(self.config), manager.config)
        m.d.comb += self.used.eq(manager.used)

        sent, came = Signal.like(self.count), Signal.like(self.count)
        # It has stood still already, before the command and before the reply.
        waited, refused = Signal(), Signal()
        cmd, rsp = manager.cmd, manager.rsp
        m.d.comb += [
            cmd.payload.eq(self.commands.word_select(sent[:-1], len(cmd.payload.as_value()))),
            cmd.valid.eq((sent < self.count) & ~self.go
                         & (waited | ~self.pauses.bit_select(sent[:-1], 1))),
            rsp.ready.eq(refused | ~self.pauses.bit_select(came[:-1], 1)),
            self.done.eq(came == self.count)]
        m.d.sync += [waited.eq(sent < self.count), refused.eq(rsp.valid)]
        with m.If(cmd.valid & cmd.ready):
            m.d.sync += [sent.eq(sent + 1), waited.eq(0)]
        with m.If(rsp.valid & rsp.ready):
            m.d.sync += [
                came.eq(came + 1), refused.eq(0),
                self.replies.word_select(came[:-1], len(rsp.payload.as_value())).eq(rsp.payload)]
        with m.If(self.go):
            m.d.sync += [sent.eq(0), came.eq(0), waited.eq(0)]
        return m


def player_sources(machine: Machine) -> dict[str, str]:
    """SystemVerilog of ``kv_player``."""
    library = Library()
    library.define("kv_player", lambda: KvPlayer(machine), params=machine)
    return library.sources()
