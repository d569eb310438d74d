"""What the bench of the traffic laboratory is asked, and what it answers."""

from dataclasses import asdict, dataclass, field

__all__ = ["Job", "Outcome"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One experiment: a reset, writes, a run."""

    writes: list[tuple[int, int, int, int]]
    """Node, table, address and data of each write; then all nodes start."""
    run_cycles: int
    """Cycles before the first look."""
    drain_cycles: int
    """Longest wait after that."""
    until_quiet: bool = False
    """Wait until nothing more is sent and every copy has come, not only those of the window."""

    histogram: bool = False
    """Read the histogram of latencies."""

    to_dict = asdict


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Counters at the end of a job."""

    nodes: list[list[int]]
    """Counters of each node, by ``Count``."""
    histogram: list[int]
    """Latencies of measured packets; empty unless asked for."""
    cycles: int
    """Length of the run."""
    seconds: float
    """Processor time of the simulation, without waiting for the looks."""
    dropped: int
    """Packets that routers gave up."""
    finished: bool
    """What was waited for came true."""
    latched: list[list[int]] = field(default_factory=list)
    """Node and first 64 header bits of the latest drop of each router that has dropped any."""

    def total(self, count: int) -> int:
        """Sum of a counter over all nodes."""
        return sum(node[count] for node in self.nodes)
