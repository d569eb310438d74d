"""A program with less room for KV than its cores have: what a crowded machine is tried with."""

from dataclasses import replace

from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.sw.program.errors import ProgramError
from ouroboros.sw.program.program import CoreImage, Program, Write

__all__ = ["with_kv_blocks"]


def with_kv_blocks(program: Program, blocks: int) -> Program:
    """The program with ``blocks`` KV blocks in every KV core: K macros have fewer of them.

    Everything else is as it was, the hardware included: cores are told so by ``KV_CONFIG``.

    Raises
    ------
    ProgramError
        If there are not so many.
    """
    if not 1 <= blocks <= program.kv_blocks:
        raise ProgramError(f"KV blocks of a core must be 1 to {program.kv_blocks}, not {blocks!r}")
    images = {core: CoreImage([_less(write, blocks) for write in image.writes])
              for core, image in program.images.items()}
    return replace(program, images=images, kv_blocks=blocks,
                   kv_sequence_blocks=min(program.kv_sequence_blocks, blocks))


def _less(write: Write, blocks: int) -> Write:
    if write.unit != Unit.KV:
        return write
    config = dict(KV_CONFIG.unpack(write.values[0]))
    macros = [n for n in range(32) if config["k_macros"] >> n & 1]
    wanted = blocks * config["heads"]
    # As many macros as share the blocks evenly: one does, where it holds them all.
    count = next((n for n in range(len(macros), 0, -1)
                  if wanted % n == 0 and wanted // n <= config["k_blocks"]), 0)
    if not count:
        raise ProgramError(f"{wanted} K blocks must be shared evenly by some of {len(macros)} "
                           f"macros with {config['k_blocks']} each")
    config |= {"k_macros": sum(1 << n for n in macros[:count]), "k_blocks": wanted // count}
    return replace(write, values=(KV_CONFIG.pack(config),))
