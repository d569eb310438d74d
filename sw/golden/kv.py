"""Golden model of the KV tile manager: placement, allocation and token-valid bits."""

from dataclasses import dataclass

from ouroboros.hw.params.machine import Machine

__all__ = ["KvGolden", "KvReply", "KvSettings", "Place"]


@dataclass(frozen=True, kw_only=True, slots=True)
class KvSettings:
    """Fields of ``hw.params.packet.KV_CONFIG``, as they are used."""

    k_macros: int
    v_macros: int
    k_groups: int
    k_blocks: int
    v_slots: int
    head_dim: int
    heads: int
    members: int = 1
    member: int = 0
    ring: int = 0
    v_stays: int = 0

    def mine(self, sequence: int) -> int:
        """Turn of the blocks of a sequence that this member keeps: of block j, j % members."""
        return (self.member - sequence * self.ring) % self.members

    def fields(self) -> dict[str, int]:
        """Values for ``KV_CONFIG.pack``."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Place:
    """Where one half of a block lies; ``slot`` is the column slot of V, 0 for K."""

    macro: int
    block: int
    slot: int = 0


@dataclass(frozen=True, slots=True)
class KvReply:
    """Reply to a command; ``valid`` is the mask of tokens after it."""

    ok: bool
    full: bool = False
    k: Place | None = None
    v: Place | None = None
    valid: int = 0


@dataclass(slots=True)
class _Page:
    k: Place
    v: Place
    valid: int = 0


class KvGolden:
    """Page table, bitmaps and valid bits of one core, by the placement rules of the hardware.

    Parameters
    ----------
    machine : Machine
        Sizes.
    settings : KvSettings
        How blocks lie in the macros.
    """

    def __init__(self, machine: Machine, settings: KvSettings):
        self.machine, self.settings = machine, settings
        self._pages: dict[tuple[int, int, int], _Page] = {}
        last = machine.core.macros - 1
        self._starts = (last, last)
        self._slot_start = -1

    @property
    def used(self) -> int:
        """Number of blocks allocated; one that several sequences own counts once."""
        return len({page.k for page in self._pages.values()})

    def lookup(self, sequence: int, head: int, block: int) -> KvReply:
        """Where a block is."""
        return self._reply(self._pages.get((sequence, head, block)))

    def append(self, sequence: int, head: int, block: int, token: int) -> KvReply:
        """Mark a token valid, with a new block if there is none."""
        if token not in range(self.machine.cim.outputs):
            raise ValueError(f"token must be an index in a block, not {token!r}")
        if not self._legal(sequence, head, block):
            return KvReply(ok=False)
        key = (sequence, head, block)
        if key not in self._pages and not self._allocate(*key):
            return KvReply(ok=False, full=True)
        self._pages[key].valid |= 1 << token
        return self._reply(self._pages[key])

    def free(self, sequence: int) -> KvReply:
        """Give back all blocks of a sequence."""
        if sequence not in range(self.machine.kv.sequences):
            return KvReply(ok=False)
        self._pages = {key: page for key, page in self._pages.items() if key[0] != sequence}
        return KvReply(ok=True)

    def share(self, sequence: int, head: int, block: int, source: int) -> KvReply:
        """Make a full block of ``source`` one of ``sequence``, too, without a reply of places."""
        if not (self.machine.kv.shares and self._legal(sequence, head, block)
                and source in range(self.machine.kv.sequences)):
            return KvReply(ok=False)
        page = self._pages.get((source, head, block))
        slot, chosen = self._slot(sequence, head)
        if (page is None or page.valid.bit_count() < self.machine.cim.outputs
                or (sequence, head, block) in self._pages
                or (not chosen and slot != page.v.slot)):
            return KvReply(ok=False)
        if len(self._pages) == self.machine.kv.pages:
            return KvReply(ok=False, full=True)
        self._pages[sequence, head, block] = _Page(page.k, page.v, page.valid)
        return KvReply(ok=True)

    def check(self) -> None:
        """Assert that no place is owned twice and that each is inside its macro.

        A full block of one head and number may have several owners with ``kv.shares``.
        """
        cim, settings = self.machine.cim, self.settings
        pages = {(key if not self.machine.kv.shares else (page.k, *key[1:])): page
                 for key, page in self._pages.items()}.values()
        k_places = [page.k for page in pages]
        v_places = [page.v for page in pages]
        assert len(set(k_places)) == len(k_places), "K block owned twice"
        assert len(set(v_places)) == len(v_places), "V block owned twice"
        assert all(settings.k_macros >> p.macro & 1 and p.block < settings.k_blocks
                   for p in k_places), "K block outside"
        assert all(settings.v_macros >> p.macro & 1 and p.slot < settings.v_slots
                   and p.block < cim.rows // cim.outputs for p in v_places), "V block outside"

    def _legal(self, sequence: int, head: int, block: int) -> bool:
        kv = self.machine.kv
        return (sequence in range(kv.sequences) and block in range(kv.blocks)
                and head in range(min(kv.heads, self.settings.heads)))

    def _allocate(self, sequence: int, head: int, block: int) -> bool:
        if len(self._pages) == self.machine.kv.pages:
            return False
        before = self._pages.get((sequence, head, block - 1))
        k_after, v_after = (before.k.macro, before.v.macro) if before else self._starts
        k = self._free_block(self._k_room(), k_after)
        slot, chosen = self._slot(sequence, head)
        if before and self.settings.v_stays:
            v_after -= 1
        v = None if slot is None else self._free_block(self._v_room(slot), v_after)
        if k is None or v is None or slot is None:
            return False
        self._pages[sequence, head, block] = _Page(Place(*k), Place(*v, slot))
        if before is None:
            self._starts = (k[0], v[0])
        if chosen:
            self._slot_start = slot
        return True

    def _slot(self, sequence: int, head: int) -> tuple[int | None, bool]:
        """Column slot of a (sequence, head), and whether it has none yet and this is the next."""
        for (owner, of, _), page in self._pages.items():
            if (owner, of) == (sequence, head):
                return page.v.slot, False
        slots = self.settings.v_slots
        order = ((self._slot_start + 1 + n) % slots for n in range(slots))
        return next((slot for slot in order if self._v_room(slot)), None), True

    def _free_block(self, room: dict[int, int], after: int) -> tuple[int, int] | None:
        """Macro and block among the lowest free block of each macro with room."""
        macros = self.machine.core.macros
        order = ((after + 1 + n) % macros for n in range(macros))
        return next(((macro, room[macro]) for macro in order if macro in room), None)

    def _k_room(self) -> dict[int, int]:
        taken = {(page.k.macro, page.k.block) for page in self._pages.values()}
        return self._lowest(self.settings.k_macros, self.settings.k_blocks, taken)

    def _v_room(self, slot: int) -> dict[int, int]:
        taken = {(page.v.macro, page.v.block) for page in self._pages.values()
                 if page.v.slot == slot}
        cim = self.machine.cim
        return self._lowest(self.settings.v_macros, cim.rows // cim.outputs, taken)

    def _lowest(self, macros: int, blocks: int, taken: set[tuple[int, int]]) -> dict[int, int]:
        room = {}
        for macro in range(self.machine.core.macros):
            free = [block for block in range(blocks) if (macro, block) not in taken]
            if macros >> macro & 1 and free:
                room[macro] = free[0]
        return room

    def _reply(self, page: _Page | None) -> KvReply:
        if page is None:
            return KvReply(ok=False)
        return KvReply(ok=True, k=page.k, v=page.v, valid=page.valid)
