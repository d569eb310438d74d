"""All parameters of one machine."""

from dataclasses import dataclass
from pathlib import Path

from ouroboros.hw.params.check import between
from ouroboros.hw.params.cim import CimParams
from ouroboros.hw.params.core import CoreParams
from ouroboros.hw.params.kv import KvParams
from ouroboros.hw.params.load import ConfigError, load
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX, NocParams
from ouroboros.hw.params.position import Position

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
COORDINATE_MAX = 127
"""Largest coordinate that the 7-bit header fields hold."""

GROUPS_MAX = 1 << 8
"""Row groups of a macro, and words of an operand bank: what 8-bit fields of MVM and LOAD name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeshParams:
    """Extent of the mesh. Cores have x = 1..width, y = 1..height; edge ports lie just outside."""

    width: int
    """Cores per row; 1 to 126."""
    height: int
    """Rows of cores; 1 to 126."""
    die_width: int
    """Cores per row of one die; divides ``width``."""
    die_height: int
    """Rows of one die; divides ``height``."""
    host_y: int = 1
    """Row whose west edge port (x = 0) is the host's; 1 to ``height``."""
    more_hosts: tuple[Position, ...] = ()
    """[x, y] of each further edge port with a host: x or y just outside the mesh. Programs and
    runs use the first alone, but for ports at which a memory pool is (``sw.block.pool``)."""

    def __post_init__(self) -> None:
        between("width", self.width, 1, COORDINATE_MAX - 1)
        between("height", self.height, 1, COORDINATE_MAX - 1)
        between("host_y", self.host_y, 1, self.height)
        for axis in ("width", "height"):
            whole, die = getattr(self, axis), getattr(self, f"die_{axis}")
            if die < 1 or whole % die:
                raise ValueError(f"die_{axis} must divide {axis} ({whole}), not {die!r}")
        for n, (x, y) in enumerate(self.more_hosts):
            if (1 <= x <= self.width) == (1 <= y <= self.height) or not (
                    0 <= x <= self.width + 1 and 0 <= y <= self.height + 1):
                raise ValueError(
                    f"more_hosts must be edge ports: x 0 or {self.width + 1} with y 1 to "
                    f"{self.height}, or y 0 or {self.height + 1} with x 1 to {self.width}, "
                    f"not {[x, y]}")
            if (x, y) in self.hosts[:n + 1]:
                raise ValueError(f"more_hosts must be ports that have no host yet, not {[x, y]}")

    @property
    def hosts(self) -> tuple[Position, ...]:
        """Coordinates of all edge ports with a host."""
        return ((0, self.host_y), *self.more_hosts)

    @property
    def dies(self) -> tuple[int, int]:
        """Dies from west to east and from north to south."""
        return self.width // self.die_width, self.height // self.die_height

    def holds(self, at: Position) -> bool:
        """Whether there is a core: not an edge port, nor further out."""
        return 1 <= at[0] <= self.width and 1 <= at[1] <= self.height

    def die_of(self, at: Position) -> tuple[int, int]:
        """Column and row, from 0, of the die that a core is on."""
        return (at[0] - 1) // self.die_width, (at[1] - 1) // self.die_height

    def crosses(self, at: Position, there: Position) -> bool:
        """Whether two cores are on different dies; what is no core is on no die."""
        return self.holds(at) and self.holds(there) and self.die_of(at) != self.die_of(there)

    @property
    def cores(self) -> int:
        """Cores of the whole mesh."""
        return self.width * self.height

    @property
    def coordinates(self) -> list[tuple[int, int]]:
        """(x, y) of every core, row by row."""
        return [(x, y) for y in range(1, self.height + 1) for x in range(1, self.width + 1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """One machine, from macro to mesh.

    Raises
    ------
    ValueError
        If parts do not fit each other.
    """

    name: str
    """Short name, as used on the command line."""
    cim: CimParams
    """The CIM macro."""
    core: CoreParams
    """The core around the macros."""
    noc: NocParams
    """The network."""
    kv: KvParams
    """The KV tile manager."""
    mesh: MeshParams
    """Extent of the mesh."""

    def __post_init__(self) -> None:
        if self.noc.multicast_flits <= PAYLOAD_FLITS_MAX:
            raise ValueError(f"noc.multicast_flits must be {PAYLOAD_FLITS_MAX + 1}, the length of "
                             f"the packets that cores send, not {self.noc.multicast_flits!r}")
        if self.core.word_bits % self.noc.flit_bits:
            raise ValueError(f"core.lanes x 32 ({self.core.word_bits}) must be a multiple of "
                             f"noc.flit_bits ({self.noc.flit_bits})")
        if self.core.word_bits % (8 * self.cim.active_rows):
            raise ValueError(f"core.lanes x 32 ({self.core.word_bits}) must be a multiple of "
                             f"8 x cim.active_rows ({8 * self.cim.active_rows})")
        if self.cim.outputs % self.core.lanes:
            raise ValueError(f"cim.outputs ({self.cim.outputs}) must be a multiple of "
                             f"core.lanes ({self.core.lanes})")
        if self.cim.groups > GROUPS_MAX:
            raise ValueError(f"cim.rows ({self.cim.rows}) must be at most {GROUPS_MAX} groups of "
                             f"cim.active_rows ({self.cim.active_rows}), which instructions can "
                             "name: take fewer rows or more active ones")

    @property
    def flits_per_word(self) -> int:
        """Flits that fill one buffer word."""
        return self.core.word_bits // self.noc.flit_bits

    @property
    def block_tokens(self) -> int:
        """Tokens of one logical KV block."""
        return self.cim.outputs

    @property
    def host(self) -> tuple[int, int]:
        """Coordinates of the host's edge port."""
        return (0, self.mesh.host_y)


def load_machine(name_or_path: str) -> Machine:
    """Read a shipped machine by name, or any machine by the path of its TOML file.

    Raises
    ------
    ConfigError
        If there is no such machine, or its file is wrong; the message names file and key.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = CONFIGS / f"{name_or_path}.toml"
        if not path.is_file():
            names = sorted(p.stem for p in CONFIGS.glob("*.toml"))
            raise ConfigError(f"machine must be one of {names} or a path to a .toml file, "
                              f"not {name_or_path!r}")
    return load(Machine, path)
