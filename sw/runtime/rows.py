"""What the host injects for a token: its embedding row and its position's RoPE row."""

from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.program.packets import Packet, data_packets
from ouroboros.sw.program.program import Program
from ouroboros.sw.program.vectors import pack_vector

__all__ = ["token_packets"]


def token_packets(program: Program, model: QuantModel, *, token: int, sequence: int,
                  position: int, flags: int) -> list[Packet]:
    """Packets of one token for every core that takes embeddings, by the way there.

    A position past the RoPE table takes its last row: only the FREE of a full context has one, and
    it computes nothing.
    """
    machine = program.machine
    row = model.embedding[token]
    packets: list[Packet] = []
    for target in program.embed:
        vectors = [(0, row[target.first:target.first + target.channels])]
        if target.rope_offset >= 0:
            vectors.append((target.rope_offset, model.rope[min(position, len(model.rope) - 1)]))
        for offset, vector in vectors:
            packets += data_packets(
                pack_vector(vector, 16, machine.noc.flit_bits), src=machine.host, dst=target.core,
                stage=target.stage, operand=0, sequence=sequence, position=position,
                offset=offset, flags=flags, way=program.way_there(target.core))
    return packets
