"""The systems of the publication: where K and V lie, and how fast they are read.

A model is cut over ``tensor_parallel`` GPUs; the other GPUs hold replicas, which share ranks and
requests evenly.
"""

from dataclasses import dataclass, replace

from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.tier.constants import Constants, constants
from ouroboros.sw.tier.dense import Dense
from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.technology import Technology

__all__ = ["PARALLEL", "RANK_SETS", "SYSTEMS", "System", "system"]

SYSTEMS = {
    "gpu": "K and V in the GPUs' memory, attention on the GPUs",
    "hbm-pim": "K and V in the GPUs' memory, which computes attention",
    "hbm-pim-ext": "K and V in stacks of their own, which compute attention",
    "cpu": "K and V in DIMMs, attention on the host",
    "rank-pim": "K and V in DIMMs, attention in the ranks' buffers",
    "tier": "K and V in DIMMs, attention beside the banks",
}
PARALLEL = {"gpt-175b": 8, "qwen2-72b": 4, "opt-66b": 2}
"""GPUs of a replica in the publication."""
RANK_SETS = 4
"""One rank of every channel each."""


@dataclass(frozen=True, kw_only=True)
class System:
    """One replica of a system."""

    name: str
    """Of ``SYSTEMS``."""
    dense: Dense
    """The model on its GPUs."""
    replicas: int
    """How many there are."""
    kv_bytes: float
    """Room for K and V."""
    kv_bytes_per_s: float
    """That attention reads with, all ranks busy; 0: on the GPUs."""
    link_bytes_per_s: float
    """Between GPUs and K and V; 0: there is no link to pass."""
    rank_sets: int = 1
    """While one of them receives, the others compute."""
    lanes: int = 1
    """Tokens that are read together, one in a bank each."""
    groups: int = 1
    """Parts of the memory that whole sequences lie in; attention ends with the fullest."""

    @property
    def kv_token_bytes(self) -> float:
        """K and V of a token in one block."""
        return 2 * self.dense.shape.kv_width * self.dense.constants.of("element_bytes")

    @property
    def token_link_bytes(self) -> float:
        """Of a decoded token in one block: q, k, v to the tier, the context back."""
        s = self.dense.shape
        return (2 * s.q_width + 2 * s.kv_width) * self.dense.constants.of("element_bytes")

    @property
    def link_token_s(self) -> float:
        """What a decoded token adds to a block's attention: the part that rank sets do not hide."""
        if not self.link_bytes_per_s:
            return 0.0
        return self.token_link_bytes / self.link_bytes_per_s / self.rank_sets

    @property
    def link_prompt_s(self) -> float:
        """The same of a token of a prompt: its K and V."""
        if not self.link_bytes_per_s:
            return 0.0
        return self.kv_token_bytes / self.link_bytes_per_s / self.rank_sets

    @property
    def kv_tokens(self) -> int:
        """Tokens that there is room for, in whole pages."""
        page = int(self.dense.constants.of("page_tokens"))
        token = self.kv_token_bytes * self.dense.shape.n_layers
        return int(self.kv_bytes / (token * page)) * page

    def attention_s(self, tokens: float, sequences: int, imbalance: float = 1.0) -> float:
        """Attention of a block beside the memory: so many tokens of context in all.

        Parameters
        ----------
        imbalance : float
            Context in the fullest group over the mean.
        """
        return (tokens * self.kv_token_bytes * imbalance / self.kv_bytes_per_s
                + sequences * self.link_token_s)


def system(name: str, shape: ModelShape, technology: Technology, *,
           tensor_parallel: int | None = None, capacity: float = 1.0, bandwidth: float = 1.0,
           efficiency: float | None = None, rank_sets: int = RANK_SETS,
           known: Constants | None = None) -> System:
    """A replica of a system.

    Parameters
    ----------
    name : str
        Of ``SYSTEMS``.
    technology : Technology
        Of the tier's pool.
    tensor_parallel : int, optional
        GPUs of a replica; by default the publication's, or as few as hold the weights.
    capacity, bandwidth : float
        Of the tier, as parts of the technology's.
    efficiency : float, optional
        Of the banks' bandwidth that is left; by default the technology's with staggered banks.
    rank_sets : int
        1: transfers are not hidden.

    Raises
    ------
    TierError
        If there is no such system, or the model does not fit it.
    """
    if name not in SYSTEMS:
        raise TierError(f"system must be one of {', '.join(SYSTEMS)}, not {name!r}")
    c = known or constants()
    gpus = int(c.of("gpus"))
    cut = tensor_parallel or PARALLEL.get(shape.name) or _fewest(shape, c)
    if gpus % cut:
        raise TierError(f"tensor_parallel must divide the {gpus} GPUs, not {cut}")
    if rank_sets < 1 or technology.of("ranks") % rank_sets:
        raise TierError(f"rank_sets must divide the {technology.of('ranks'):g} ranks of a channel, "
                        f"not {rank_sets}")
    replicas = gpus // cut
    dense = Dense(shape, cut, c)
    own = c.of("gpu_gib") * 2**30 * cut - dense.weight_bytes
    if own <= 0:
        raise TierError(f"weights of {shape.name} must be at most "
                        f"{c.of('gpu_gib') * 2**30 * cut / 1e9:.0f} GB (what {cut} GPUs hold), not "
                        f"{dense.weight_bytes / 1e9:.0f} GB: raise tensor_parallel")
    pool = technology.pool_bytes / replicas
    pcie, nvlink = (c.of(link) * 1e9 * cut for link in ("pcie_gb_s", "nvlink_gb_s"))

    def one(room: float, read: float, link: float = 0.0) -> System:
        return System(name=name, dense=dense, replicas=replicas, kv_bytes=room,
                      kv_bytes_per_s=read / replicas, link_bytes_per_s=link)

    if name == "gpu":
        return one(own, 0.0)
    if name == "hbm-pim":
        return one(own, c.of("hbm_pim_gb_s") * 1e9)
    if name == "hbm-pim-ext":
        return one(c.of("hbm_ext_gib") * 2**30 / replicas, c.of("hbm_ext_gb_s") * 1e9, nvlink)
    if name in ("cpu", "rank-pim"):
        read = c.of("cpu_gb_s" if name == "cpu" else "rank_pim_gb_s")
        return one(pool, read * 1e9, pcie)
    part = technology.of("staggered") if efficiency is None else efficiency
    # A replica has its share of ranks; rank sets that cannot be shared out are one.
    sets = rank_sets // replicas if rank_sets % replicas == 0 else 1
    # Grouped queries leave fewer K and V heads than a rank set has chips to fill, so whole
    # sequences lie in a rank; otherwise all channels work on every sequence.
    grouped = shape.n_kv_heads < shape.n_heads
    return replace(one(pool * capacity, technology.pool_bytes_per_s * part * bandwidth, pcie),
                   rank_sets=sets, lanes=int(technology.of("banks")),
                   groups=technology.pool_ranks // replicas if grouped else 1)


def _fewest(shape: ModelShape, c: Constants) -> int:
    """GPUs that hold the weights and as much again."""
    room = c.of("gpu_gib") * 2**30
    need = shape.parameters * c.of("element_bytes")
    known = [n for n in (1, 2, 4, 8, 16) if c.of("gpus") % n == 0]
    return next((n for n in known if need <= room * n / 2), known[-1])
