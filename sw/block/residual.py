"""Residual slices: embedding, projection and down projection, each with the norm that follows."""

from collections.abc import Sequence

from ouroboros.hw.params.isa import BMode, Fn, MMode, Track, Type
from ouroboros.sw.block.digits import multiply_digits
from ouroboros.sw.block.draft import Draft
from ouroboros.sw.block.fold import fold
from ouroboros.sw.block.layout import Slices
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.macros import MatrixPlan
from ouroboros.sw.block.sizes import overlap
from ouroboros.sw.block.stage import StageDraft
from ouroboros.sw.block.tensors import Matrix, Param, Piece, Run, width

__all__ = ["OPERAND_MAIN", "OPERAND_ROPE", "OPERAND_SECOND", "ResidualGroup"]

OPERAND_MAIN, OPERAND_SECOND, OPERAND_NORM, OPERAND_PARTIAL = range(4)
OPERAND_GO = 3
"""Of a projection whose slices exchange sums of squares: slots have been reserved."""
OPERAND_ROPE = 2
"""Of QKV: the RoPE row, which comes after h and is wanted after the product."""
TENSORS = {"proj": "o", "down": "down"}
EXCHANGE_MOST = 8
"""Slices that send each other their sums of squares: a packet from each to each."""


class ResidualGroup:
    """The residual after one step of a block, in slices of output channels.

    A slice takes x from the slices before it (the host, for the embedding), adds its share of a
    matrix product, and hands over h = norm(x) to the next stages and x to the next residual. Where
    several slices share the inputs of their columns, they exchange int32 partial sums first. With
    several slices, slice 0 or a root of its own adds the sums of squares and returns the norm's
    scale. Who returns it reserves the slots of all that the group sends to before. Where one has
    too few counters, roots share them: each reserves its part for tokens in the order in which
    slice 0 sends their sums of squares, the same for all, and tells the slices.

    A projection in few slices saves a way: all slices send their sums of squares to each other and
    look up the scale by themselves. Its roots only reserve, when the last slice has its product.

    Parameters
    ----------
    draft : Draft
        The model under construction.
    kind : str
        embed, proj or down.
    layer : int
        Transformer block; -1 for the embedding.
    slices : Slices
        Cores.
    """

    def __init__(self, draft: Draft, kind: str, layer: int, slices: Slices):
        self.draft, self.kind, self.layer, self.slices = draft, kind, layer, slices
        self.x_type = draft.x_type
        self.b_mode = BMode.RESIDUAL16 if self.x_type is Type.I16 else BMode.RESIDUAL32
        self.digits = kind == "down" and draft.wide
        """Whether the inputs of the matrix are two digits, with an exponent for the token."""
        self.exchange = bool(kind == "proj" and slices.roots and slices.row_slices == 1
                             and len(slices.cores) <= EXCHANGE_MOST)
        """Whether every slice adds all sums of squares."""
        self.channels = draft.home_channels(slices)
        self.widest = max(map(len, self.channels))
        """Channels of the largest slice: areas are alike in all of them."""
        self.columns = draft.sizes.shares(draft.shape.dim, slices.columns)
        """Outputs of each column slice."""
        self.inputs = self._inputs()
        self.stages = [self._layout(n) for n in range(len(slices.cores))]
        self.roots = [self._root(n) for n in range(len(slices.roots))]

    def _inputs(self) -> list[range]:
        """Inputs of each row slice, padding included: whole heads, or words of hidden channels."""
        draft, rows = self.draft, self.slices.row_slices
        shape, size = draft.shape, draft.sizes
        if self.kind == "proj":
            heads = [range(n * -(-shape.n_heads // rows), (n + 1) * -(-shape.n_heads // rows))
                     for n in range(rows)]
            pad = draft.head_pad
            return [range(some.start * pad, min(some.stop, shape.n_heads) * pad) for some in heads]
        if self.kind == "down":
            return [range(share.start, share.start + size.padded(len(share)))
                    for share in size.shares(shape.hidden_dim, rows)]
        return []

    def _layout(self, n: int) -> StageDraft:
        draft, count = self.draft, len(self.slices.cores)
        lanes, rows = draft.lanes, self.slices.row_slices
        stage = draft.stage(self.kind, self.layer, self.slices.cores[n],
                            f".{n}" if count > 1 else "")
        if self.kind == "embed" and self.x_type is not Type.I16:
            # The host's rows are int16 in every scheme, and go to the beginning of the slot.
            stage.area("row", self.widest, Type.I16)
        stage.area("x", self.widest, self.x_type)
        stage.area("rope", draft.head_pad, Type.I16)
        if self.kind == "proj":
            stage.area("input", len(self.inputs[0]), Type.I8)
        if not self.exchange:
            stage.area("sumsq", lanes, Type.I32)
        stage.area("scale", lanes, Type.I32)
        if len(self.slices.roots) > 1 or self.exchange:
            stage.area("go", lanes, Type.I32)
        if self.exchange:
            stage.area("others", lanes * count, Type.I32)
        stage.area("h", self.widest, Type.I8)
        if self.digits:
            stage.area("exponent", lanes, Type.I32)
        if self.kind == "down":
            for name in ("input", "low") if self.digits else ("input",):
                stage.area(name, len(self.inputs[n % rows]), Type.I8)
        if rows > 1 or self.digits:
            stage.area("acc", len(self.columns[0]), Type.I32)
        if rows > 1:
            stage.area("partial", self.widest * (rows - 1), Type.I32)
        if n == 0 and count > 1 and not self.slices.roots:
            stage.area("others", lanes * (count - 1), Type.I32)
        return stage

    def _root(self, n: int) -> StageDraft:
        draft = self.draft
        stage = draft.stage("norm", self.layer, self.slices.roots[n],
                            f".{self.kind}.{n}" if len(self.slices.roots) > 1 else f".{self.kind}")
        stage.area("scale", draft.lanes, Type.I32)
        alone = n or self.exchange
        stage.area("others", draft.lanes * (1 if alone else len(self.stages)), Type.I32)
        return stage

    @property
    def reserved(self) -> list[StageDraft]:
        """Stages whose slots whoever sends to the group reserves: slices and roots."""
        return [*self.stages, *self.roots]

    def takers(self, row: int) -> list[StageDraft]:
        """Slices that take the inputs of a row slice."""
        return self.stages[row::self.slices.row_slices]

    def take_inputs(self, sender: StageDraft, made: range, src: int, *,
                    area: str = "input") -> None:
        """``sender`` sends inputs ``made``, which lie from word ``src``, to whom they concern.

        With inputs of two digits the low ones go to ``area`` "low".
        """
        for row, inputs in enumerate(self.inputs):
            part = overlap(made, inputs)
            if part:
                sender.send(self.takers(row), operand=OPERAND_SECOND, area=area,
                            src=src + sender.words(part.start - made.start, Type.I8),
                            flits=sender.flits(len(part), Type.I8),
                            element=part.start - inputs.start)

    def take_exponent(self, sender: StageDraft, src: int) -> None:
        """``sender`` sends the exponent of the inputs to all slices."""
        # A multicast does not lead back into the core that it comes from.
        here = [stage for stage in self.stages if stage.info.core == sender.info.core]
        for targets in (here, [stage for stage in self.stages if stage not in here]):
            if targets:
                sender.send(targets, operand=OPERAND_SECOND, area="exponent", src=src,
                            flits=sender.flits(self.draft.lanes, Type.I32))

    def code(self, norm: Param, consumers: Sequence[StageDraft],
             reserve: Sequence[StageDraft], after: "ResidualGroup | None") -> None:
        """Programs of all slices; h goes to ``consumers``, x to the group ``after``.

        Parameters
        ----------
        norm : Param
            Constants of the norm.
        reserve : sequence of StageDraft
            Everyone whose slots this group reserves.
        """
        for n, stage in enumerate(self.stages):
            squared = False
            if self.kind == "embed":
                stage.wait(OPERAND_MAIN)
            elif self.slices.row_slices > 1:
                squared = self._add_partials(n)
            else:
                stage.wait(OPERAND_MAIN)
                stage.wait(OPERAND_SECOND)
                squared = self._multiply(n)
            if not squared:
                source = "row" if "row" in stage.areas else "x"
                stage.sfu(Fn.MAC, a=stage.at(source), a_type=stage.areas[source].kind,
                          d=stage.at("x"), d_type=self.x_type,
                          length=len(self.channels[n]), track=Track.SUMSQ, c=self._sumsq(n))
            self._norm(n, norm, reserve)
            self._hand_over(n, consumers, reserve, after)
        if self.roots:
            self._root_code(norm, reserve)

    # Matrix

    def _place(self, n: int) -> tuple[Matrix, MatrixPlan]:
        draft, columns = self.draft, self.columns[n // self.slices.row_slices]
        row, shape = n % self.slices.row_slices, draft.shape
        if self.kind == "proj":
            first = self.inputs[row].start // draft.head_pad
            inputs = draft.head_channels(range(
                first, first + len(self.inputs[row]) // draft.head_pad))
        else:
            inputs = (Run(self.inputs[row].start, min(self.inputs[row].stop, shape.hidden_dim)
                          - self.inputs[row].start),)
        matrix = Matrix((Piece(TENSORS[self.kind], self.layer,
                               (Run(columns.start, len(columns)),), inputs),))
        stage = self.stages[n]
        return matrix, draft.macros[stage.info.core].place(
            matrix.outputs, width(inputs), draft.share_macros(stage))

    def _param(self, channels: range) -> Param:
        return Param(TENSORS[self.kind], self.layer, (Run(channels.start, len(channels)),))

    def _multiply(self, n: int) -> bool:
        """``x += rnd(acc * M, S)``; true if the sum of squares came with it."""
        stage, channels = self.stages[n], self.channels[n]
        matrix, plan = self._place(n)
        if self.digits:
            self._multiply_digits(n, matrix, plan)
            return self._update(n, stage.at("acc"))
        param, one = self._param(channels), len(plan.passes) == 1
        tells = self.exchange and n == len(self.stages) - 1

        def update(start: int, count: int, release: bool) -> None:
            if tells and not start:
                # The last slice has fewest outputs: it has time to spare.
                stage.send(self.roots, operand=OPERAND_MAIN, src=stage.at("go"), flits=1,
                           area="others")
            word = stage.at("x", start)
            stage.sfu(Fn.MAC, b=word, b_mode=self.b_mode, d=word, d_type=self.x_type,
                      length=count, m_mode=MMode.PARAM, param=(param, start // self.draft.lanes),
                      release=release, c=self._sumsq(n),
                      track=Track.SUMSQ if one else Track.NONE)

        stage.matrix(matrix, plan, stage.at("input"), [(0, len(channels), update)])
        return one

    def _multiply_digits(self, n: int, matrix: Matrix, plan: MatrixPlan) -> None:
        stage = self.stages[n]
        multiply_digits(stage, matrix, plan, high=stage.at("input"), low=stage.at("low"),
                        acc="acc")

    def _update(self, n: int, acc: int) -> bool:
        """The same from whole sums at word ``acc``; R2 takes the exponent off the shift of down."""
        stage, channels, x = self.stages[n], self.channels[n], self.stages[n].at("x")
        # Word C is the exponent's, so that the sum of squares takes an instruction of its own.
        stage.sfu(Fn.MAC, a=acc, b=x, b_mode=self.b_mode, d=x, d_type=self.x_type,
                  length=len(channels), m_mode=MMode.PARAM, param=(self._param(channels), 0),
                  less=self.digits, c=stage.at("exponent") if self.digits else self._sumsq(n),
                  track=Track.NONE if self.digits else Track.SUMSQ)
        return not self.digits

    def _add_partials(self, n: int) -> bool:
        """A matrix whose inputs lie on several cores: int32 partial sums change cores."""
        stage, rows = self.stages[n], self.slices.row_slices
        first, column = n - n % rows, self.columns[n // rows]
        stage.wait(OPERAND_SECOND)
        matrix, plan = self._place(n)

        def keep(start: int, count: int, release: bool) -> None:
            stage.sfu(Fn.MAC, d=stage.at("acc", start), length=count, release=release)

        if self.digits:
            self._multiply_digits(n, matrix, plan)
        else:
            stage.matrix(matrix, plan, stage.at("input"), [(0, len(column), keep)])
        for k in range(first, first + rows):
            if k != n:
                place = n - first if n < k else n - first - 1
                theirs = self.channels[k]
                stage.send([self.stages[k]], operand=OPERAND_PARTIAL,
                           src=stage.at("acc", theirs.start - column.start),
                           flits=stage.flits(len(theirs), Type.I32),
                           area="partial", element=place * len(theirs))
        stage.wait(OPERAND_PARTIAL)
        stage.wait(OPERAND_MAIN)
        channels = self.channels[n]
        own = stage.at("acc", channels.start - column.start)
        others = stage.at("partial")
        fold(stage, others, stage.words(len(channels), Type.I32), rows - 1)
        stage.sfu(Fn.MAC, a=own, b_mode=BMode.ADD32, b=others, d=own, length=len(channels))
        return self._update(n, own)

    # Norm

    def _sumsq(self, n: int) -> int:
        """Word of a slice's own sum of squares."""
        return self.stages[n].at("others") + n if self.exchange else self.stages[n].at("sumsq")

    def _norm(self, n: int, norm: Param, reserve: Sequence[StageDraft]) -> None:
        """``h = sat8(rnd(x * Y, shift))``; (Y, shift) made by one core for all."""
        stage, lanes = self.stages[n], self.draft.lanes
        sumsq, scale = self._sumsq(n), stage.at("scale")
        flits = stage.flits(lanes, Type.I32)
        several = len(self.stages) > 1
        if self.exchange:
            stage.send([other for other in self.stages if other is not stage],
                       operand=OPERAND_NORM, src=sumsq, flits=flits, area="others",
                       element=n * lanes)
            stage.wait(OPERAND_NORM)
            fold(stage, stage.at("others"), 1, len(self.stages))
            stage.sfu(Fn.RSQRT, c=stage.at("others"), d=scale, param=(norm, 0))
            stage.wait(OPERAND_GO)
        elif self.roots:
            # All roots see tokens in the order of slice 0, and reserve in that order.
            told = self.roots if n == 0 else self.roots[:1]
            stage.send(told, operand=OPERAND_SECOND if len(told) > 1 else OPERAND_MAIN, src=sumsq,
                       flits=flits, area="others", element=n * lanes)
            stage.wait(OPERAND_NORM)
        elif n:
            stage.send([self.stages[0]], operand=OPERAND_NORM, src=sumsq, flits=flits,
                       area="others", element=(n - 1) * lanes)
            stage.wait(OPERAND_NORM)
        else:
            if several:
                stage.wait(OPERAND_NORM)
                others = stage.at("others")
                fold(stage, others, 1, len(self.stages) - 1)
                stage.sfu(Fn.MAC, a=sumsq, b=others, b_mode=BMode.ADD32, d=sumsq, length=lanes)
            stage.sfu(Fn.RSQRT, c=sumsq, d=scale, param=(norm, 0))
            if several:
                # Whoever has the scale may send: room for the token is reserved first.
                stage.send(self.stages[1:], operand=OPERAND_NORM, src=scale, flits=flits,
                           area="scale", reserve=reserve)
        stage.sfu(Fn.MAC, a=stage.at("x"), a_type=self.x_type, d=stage.at("h"), d_type=Type.I8,
                  length=len(self.channels[n]), m_mode=MMode.SCALAR, c=scale)

    def _root_code(self, norm: Param, reserve: Sequence[StageDraft]) -> None:
        """Each root reserves its part; the first adds and looks up."""
        first, lanes, room = self.roots[0], self.draft.lanes, self.draft.machine.core.credits
        if len(reserve) > room * len(self.roots):
            raise BlockError(f"norm roots of {self.stages[0].info.name} must reserve slots of "
                             f"{len(reserve)} stages with {room} credit counters each, not "
                             f"{len(self.roots)} roots")
        parts = [reserve[n * room:(n + 1) * room] for n in range(len(self.roots))]
        if len(self.roots) > 1 or self.exchange:
            for root, part in zip(self.roots, parts, strict=True):
                root.wait(OPERAND_MAIN if self.exchange else OPERAND_SECOND)
                root.send(self.stages, operand=OPERAND_GO if self.exchange else OPERAND_NORM,
                          src=root.at("others"), flits=1, area="go", reserve=part)
        if self.exchange:
            return
        first.wait(OPERAND_MAIN)
        fold(first, first.at("others"), 1, len(self.stages))
        first.sfu(Fn.RSQRT, c=first.at("others"), d=first.at("scale"), param=(norm, 0))
        first.send(self.stages, operand=OPERAND_NORM, src=first.at("scale"),
                   flits=first.flits(lanes, Type.I32), area="scale",
                   reserve=parts[0] if len(self.roots) == 1 else None)

    # Onwards

    def _hand_over(self, n: int, consumers: Sequence[StageDraft], reserve: Sequence[StageDraft],
                   after: "ResidualGroup | None") -> None:
        """Sends h (and the RoPE row to QKV), then x (and the RoPE row) to the next residual."""
        stage, channels = self.stages[n], self.channels[n]
        rope, rope_flits = stage.at("rope"), self.draft.rope_flits
        alone = len(self.stages) == 1 and not self.roots
        if consumers:
            stage.send(consumers, operand=OPERAND_MAIN, src=stage.at("h"), area="h",
                       flits=stage.flits(len(channels), Type.I8), element=channels.start,
                       reserve=reserve if alone else None)
        if rope_flits and n == 0 and consumers and consumers[0].info.kind == "qkv":
            stage.send(consumers, operand=OPERAND_ROPE, src=rope, flits=rope_flits, area="rope")
        for theirs, successor in zip(after.channels if after else [], after.stages if after else [],
                                     strict=True):
            part = overlap(channels, theirs)
            if part:
                stage.send([successor], operand=OPERAND_MAIN, area="x",
                           src=stage.at("x", part.start - channels.start),
                           flits=stage.flits(len(part), self.x_type),
                           element=part.start - theirs.start)
        if rope_flits and n == 0 and after:
            stage.send([after.stages[0]], operand=OPERAND_MAIN, src=rope, flits=rope_flits,
                       area="rope")
