"""Results of tokens, put together from the packets that reach the host."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.packet import Flag
from ouroboros.sw.block.head import HOST_LOGITS, HOST_RESULT
from ouroboros.sw.program.packets import Packet
from ouroboros.sw.program.program import Program
from ouroboros.sw.program.vectors import unpack_vector

__all__ = ["Result", "Results"]

Key = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What the machine says of one token."""

    sequence: int
    """Sequence id."""
    position: int
    """Position of the token."""
    best: int
    """Likeliest next id; means nothing for tokens without logits."""
    flags: int
    """``Flag``s of the token at its end."""
    logits: npt.NDArray[np.int32] | None
    """Streamed logits, (vocab_size,)."""


class Results:
    """Packets of tokens that are not complete yet.

    Parameters
    ----------
    program : Program
        Which cores send which logits.
    """

    def __init__(self, program: Program):
        self._flit_bits = program.machine.noc.flit_bits
        self._vocab_size = program.vocab_size
        per_flit = self._flit_bits // 32
        self._logit_flits = sum(-(-count // per_flit) for _, _, count in program.logit_slices)
        self._parts: dict[Key, dict[int, tuple[int, ...]]] = {}
        self._bests: dict[Key, tuple[int, int]] = {}

    @property
    def empty(self) -> bool:
        """Whether no token is there in part."""
        return not self._parts and not self._bests

    def take(self, packet: Packet) -> Result | None:
        """The token's result once this packet makes it complete.

        Raises
        ------
        ValueError
            If the packet belongs to no result, or was there before.
        """
        header = packet.header
        key = header["sequence"], header["position"]
        if header["operand"] == HOST_LOGITS:
            parts = self._parts.setdefault(key, {})
            if header["offset"] in parts:
                raise ValueError(f"logits of {key} must come once")
            parts[header["offset"]] = packet.payload
        elif header["operand"] == HOST_RESULT and key not in self._bests:
            _, best = unpack_vector(packet.payload, 32, 2, self._flit_bits)
            self._bests[key] = int(best), header["flags"]
        else:
            raise ValueError(f"operand {header['operand']} of {key} must be a result, once")
        return self._complete(key)

    def _complete(self, key: Key) -> Result | None:
        if key not in self._bests:
            return None
        best, flags = self._bests[key]
        logits = None
        if flags & Flag.STREAM and not flags & (Flag.FREE | Flag.POISON):
            logits = self._logits(self._parts.get(key, {}))
            if logits is None:
                return None
            del self._parts[key]
        del self._bests[key]
        return Result(*key, best=best, flags=flags, logits=logits)

    def _logits(self, parts: dict[int, tuple[int, ...]]) -> npt.NDArray[np.int32] | None:
        """All logits, or None while some are missing."""
        if sum(len(payload) for payload in parts.values()) < self._logit_flits:
            return None
        per_flit = self._flit_bits // 32
        vector = np.zeros(self._vocab_size, np.int32)
        for offset, payload in parts.items():
            values = unpack_vector(payload, 32, len(payload) * per_flit, self._flit_bits)
            start = offset * per_flit
            vector[start:start + len(values)] = values[:len(vector) - start]
        return vector
