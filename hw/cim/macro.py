"""Bit-serial digital compute-in-memory macro."""

from amaranth import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ouroboros.hw.cim.sequencer import Sequencer, command_layout, operand_signature, operand_words
from ouroboros.hw.params.cim import ACTIVATION_BITS
from ouroboros.hw.params.machine import Machine

__all__ = ["Macro", "command_layout", "macro_signature", "operand_signature", "write_signature"]


def write_signature(machine: Machine) -> wiring.Signature:
    """Byte-masked write of one weight row, or with ``column`` of all rows of the aligned
    ``k_write_rows_per_cycle`` around it, seen from the writer.

    ``mask`` has a bit for each output; output o of row r is byte ``cim.write_byte(r, o)`` of
    ``data``.
    """
    outputs = machine.cim.outputs
    return wiring.Signature({"en": Out(1), "row": Out(range(machine.cim.rows)), "column": Out(1),
                             "mask": Out(outputs), "data": Out(8 * outputs)})


def macro_signature(machine: Machine) -> wiring.Signature:
    """Ports of a ``Macro``."""
    cim, lanes = machine.cim, machine.core.lanes
    return wiring.Signature({
        "operand":     In(operand_signature(machine)),
        "cmd":         In(stream.Signature(command_layout(machine))),
        "write":       In(write_signature(machine)),
        "full":        Out(1),
        "beat":        In(range(max(2, cim.outputs // lanes))),  # Verilog has no port of 0 bits
        "sums":        Out(data.ArrayLayout(signed(32), lanes)),
        "lanes_valid": Out(lanes),
        "take":        In(1),
        "active":      Out(1),
    })


class Macro(wiring.Component):
    """A matrix of ``rows x outputs`` int8 weights that multiplies int8 operand vectors.

    A command multiplies weight group ``first_group + i`` with operand group ``operand_group + i``
    of its bank, for i in 0 .. ``groups - 1``; ``first`` clears the accumulators before, ``last``
    moves them to the drain registers after. A group is ``active_rows`` rows. Operand groups with no
    valid row, or past the last group, cost no cycle; invalid operand rows count as 0; weight group
    numbers wrap. Sums are exact in int32 (a sum over several commands wraps).

    **Cycles.** Let a command with g valid groups be accepted in cycle t, and
    ``n = cim.command_cycles(g)``, that is 8 g, or 1 if g is 0. It uses the array in cycles t + 1 to
    t + n. With ``last``, its result stands in the drain registers (``full`` is high) from cycle
    ``t + n + cim.fill_cycles`` on, fill_cycles being 4. ``cmd.ready`` is high again in cycle t + n:
    the array never pauses between commands. If the drain registers still hold an earlier result
    when a result should move in (in cycle t + n + 3), the whole macro holds, ``cmd.ready`` low,
    up to the cycle with ``take``; in this very cycle the result moves and all goes on. So
    ``cmd.ready`` depends on ``take``, and on no other input.

    **Duties of the user.** A weight write in cycle t is seen by commands accepted in t or later, an
    operand load or clear by those accepted in t + 1 or later. From the cycle of a command's
    acceptance until ``cmd.ready`` is high again its bank must not be cleared, nor a word of it be
    loaded that has one of the command's groups; from the cycle after its acceptance until then no
    row must be written. In that cycle all may be.

    Parameters
    ----------
    machine : Machine
        Sizes are those of ``cim`` and ``core``.

    Members
    -------
    operand : In(operand_signature(machine))
        ``en`` stores the bytes of ``data`` at operand rows ``index * word_bits / 8 ..`` of ``bank``
        and sets their valid bits to ``mask``. ``clear`` makes every row of ``bank`` invalid, before
        a load in the same cycle.
    cmd : In(stream(command_layout(machine)))
        Commands. ``columns`` matters with ``last``: outputs outside drain as 0, not valid.
    write : In(write_signature(machine))
        Weight writes.
    full : Out(1)
        The drain registers hold a result.
    beat : In(range(outputs // lanes))
        Which ``lanes`` outputs of the drain registers are shown.
    sums, lanes_valid : Out(ArrayLayout(signed(32), lanes)), Out(lanes)
        Outputs ``beat * lanes ..`` in the same cycle, and whether each is inside ``columns``.
    take : In(1)
        Frees the drain registers, from the next cycle.
    active : Out(1)
        High for 8 cycles for each row group computed: one event per group cycle.
    busy : Out(1)
        A command is under way. While it is low, and no input asks for anything, no register
        changes: the clock may stand still (``hw.cim.macro_gated``).
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({**macro_signature(machine).members, "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()

        # Stages: the sequencer presents a step, which reads the memories; `tree` holds the step
        # whose data come out of them, `serial` the one whose plane sums are added up over the
        # bits, `commit` the one whose group sums go to the accumulators.
        m.submodules.sequencer = sequencer = Sequencer(self.machine)
        step = sequencer.step
        tree, serial, commit = (Signal(step.shape(), name=name)
                                for name in ("tree", "serial", "commit"))
        hold = Signal()

        wiring.connect(m, wiring.flipped(self.cmd), sequencer.cmd)
        wiring.connect(m, wiring.flipped(self.operand), sequencer.operand)
        m.d.comb += [
            hold.eq(commit.last & self.full & ~self.take),
            sequencer.hold.eq(hold),
            # While `active`, the stage `tree` runs.
            self.busy.eq(sequencer.busy
                         | Cat(stage.run | stage.add | stage.clear | stage.last
                               for stage in (tree, serial, commit)).any()),
        ]
        m.d.sync += self.active.eq(step.run & ~hold)
        with m.If(~hold):
            m.d.sync += [tree.eq(step), serial.eq(tree), commit.eq(serial)]

        fetch = Signal()
        m.d.comb += fetch.eq(step.run & (step.bit == 0) & ~hold)
        weights = self._weights(m, step.weight_group, fetch)
        operand_bits = self._operand_bits(m, step, tree, fetch)

        plane_sums = self._plane_sums(m, weights, operand_bits, tree.run & ~hold)
        group_sums = self._group_sums(m, plane_sums, serial, ~hold)
        self._accumulate(m, group_sums, commit, ~hold)

        return m

    def _weights(self, m, group, fetch):
        """One memory for each active row; all rows of a group are read at once."""
        cim = self.machine.cim
        words = []
        row_bits, together = exact_log2(cim.active_rows), exact_log2(cim.k_write_rows_per_cycle)
        bytes_of = [self.write.data.word_select(byte, 8) for byte in range(cim.outputs)]
        for row in range(cim.active_rows):
            memory = Memory(shape=8 * cim.outputs, depth=cim.groups, init=[])
            m.submodules[f"weights_{row}"] = memory
            write, read = memory.write_port(granularity=8), memory.read_port()
            m.d.comb += [
                write.addr.eq(self.write.row[row_bits:]),
                write.data.eq(Cat(bytes_of[cim.write_byte(row, output)]
                                  for output in range(cim.outputs))),
                read.addr.eq(group),
                read.en.eq(fetch),
            ]
            chosen = ((self.write.row[together:row_bits] == row >> together)
                      & (self.write.column | (self.write.row[:together] == row % (1 << together))))
            with m.If(self.write.en & chosen):
                m.d.comb += write.en.eq(self.write.mask)
            words.append(read.data)
        return words

    def _operand_bits(self, m, step, tree, fetch):
        """Operand memory; of the group read, the bit that the step in ``tree`` is about."""
        cim, word_bytes = self.machine.cim, self.machine.core.word_bits // 8
        words = operand_words(self.machine)
        memory = Memory(shape=self.machine.core.word_bits, depth=2 * words, init=[])
        m.submodules.operands = memory
        write, read = memory.write_port(), memory.read_port()

        # Invalid rows are stored as 0; whole groups without a valid row are never read.
        kept = Cat(byte & valid.replicate(8)
                   for byte, valid in zip(_bytes(self.operand.data), self.operand.mask,
                                          strict=True))
        groups = min(word_bytes // cim.active_rows, cim.groups)
        group_bits = exact_log2(groups)
        m.d.comb += [
            write.addr.eq(self.operand.index + words * self.operand.bank),
            write.en.eq(self.operand.en),
            read.addr.eq((step.operand_group >> group_bits) + words * step.bank),
            read.en.eq(fetch),
        ]
        with m.If(self.operand.en):
            m.d.comb += write.data.eq(kept)

        bits = Signal(cim.active_rows)
        group = read.data.word_select(tree.operand_group[:group_bits], 8 * cim.active_rows)
        with m.If(tree.run):
            m.d.comb += bits.eq(Cat(byte.bit_select(tree.bit, 1) for byte in _bytes(group)))
        return bits

    def _plane_sums(self, m, weights, operand_bits, enable):
        """Registered sums over the active rows of weight times operand bit, one per output."""
        cim = self.machine.cim
        # Bytes with inverted sign are unsigned, larger by 128. The sum over the rows is too large
        # by 128 active_rows, which is again one inverted sign.
        offset = sum(0x80 << 8 * output for output in range(cim.outputs))
        products = []
        for row in range(cim.active_rows):
            product = Signal(8 * cim.outputs, name=f"product_{row}")
            m.d.comb += product.eq((weights[row] & operand_bits[row].replicate(8 * cim.outputs))
                                   ^ offset)
            products.append(product)
        width = ACTIVATION_BITS + exact_log2(cim.active_rows)
        sums = [Signal(signed(width), name=f"plane_sum_{output}") for output in range(cim.outputs)]
        with m.If(enable):
            for output, plane_sum in enumerate(sums):
                total = _tree_sum([product.word_select(output, 8) for product in products])
                m.d.sync += plane_sum.eq(Cat(total[:width - 1], ~total[width - 1]))
        return sums

    def _group_sums(self, m, plane_sums, serial, enable):
        """Plane sums added up with their weights; complete after bit 7, which counts negative."""
        sums = []
        for output, plane_sum in enumerate(plane_sums):
            group_sum = Signal(signed(len(plane_sum) + ACTIVATION_BITS), name=f"group_sum_{output}")
            top = plane_sum << (ACTIVATION_BITS - 1)
            with m.If(serial.run & enable):
                with m.If(serial.bit == 0):
                    m.d.sync += group_sum.eq(top)
                with m.Elif(serial.bit == ACTIVATION_BITS - 1):
                    m.d.sync += group_sum.eq((group_sum >> 1) - top)
                with m.Else():
                    m.d.sync += group_sum.eq((group_sum >> 1) + top)
            sums.append(group_sum)
        return sums

    def _accumulate(self, m, group_sums, commit, enable):
        """Accumulators, drain registers and their read side."""
        beats, lanes = self.machine.cim.outputs // self.machine.core.lanes, self.machine.core.lanes
        drain_valid = Signal(self.machine.cim.outputs)
        drains = []
        with m.If(self.take):
            m.d.sync += self.full.eq(0)
        with m.If(commit.last & enable):
            m.d.sync += [self.full.eq(1), drain_valid.eq(commit.columns)]
        for output, group_sum in enumerate(group_sums):
            total, accumulator, drain = (Signal(signed(32), name=f"{name}_{output}")
                                         for name in ("total", "accumulator", "drain"))
            m.d.comb += total.eq(Mux(commit.clear, 0, accumulator) + Mux(commit.add, group_sum, 0))
            with m.If((commit.clear | commit.add) & enable):
                m.d.sync += accumulator.eq(total)
            with m.If(commit.last & enable):
                m.d.sync += drain.eq(Mux(commit.columns[output], total, 0))
            drains.append(drain)
        for lane in range(lanes):
            shown = Array(drains[beat * lanes + lane] for beat in range(beats))
            m.d.comb += self.sums[lane].eq(shown[self.beat])
        m.d.comb += self.lanes_valid.eq(drain_valid.word_select(self.beat, lanes))


def _bytes(value):
    return [value[low:low + 8] for low in range(0, len(value), 8)]


def _tree_sum(terms):
    while len(terms) > 1:
        terms = [a + b for a, b in zip(terms[::2], terms[1::2], strict=True)]
    return terms[0]
