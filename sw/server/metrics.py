"""Figures of the server for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ouroboros.sw.server.machine import Answer, Machine

__all__ = ["Metrics"]

SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)


class Metrics:
    """Counts since the start, and what there is now.

    Parameters
    ----------
    machine : Machine
        Whose; it tells of answers that have ended.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        self.registry = CollectorRegistry()
        self.refused = Counter("ouroboros_refused", "Requests refused, by HTTP status", ["status"],
                               registry=self.registry)
        self._ended = Counter("ouroboros_requests", "Requests ended, by why", ["finished"],
                              registry=self.registry)
        self._tokens = Counter("ouroboros_tokens", "Tokens of requests that have ended",
                               ["kind"], registry=self.registry)
        self._preemptions = Counter("ouroboros_preemptions", "KV caches given up to make room",
                                    registry=self.registry)
        self._first = Histogram("ouroboros_time_to_first_token_seconds", "From request to token",
                                buckets=SECONDS, registry=self.registry)
        self._gauges = {name: Gauge(f"ouroboros_{name}", words, registry=self.registry)
                        for name, words in GAUGES.items()}
        machine.told_ended = self._note

    def _note(self, answer: Answer) -> None:
        self._ended.labels(answer.finished or "machine_stopped").inc()
        self._tokens.labels("prompt").inc(len(answer.ask.prompt))
        self._tokens.labels("generated").inc(answer.count)
        self._preemptions.inc(answer.preemptions)
        if answer.first_s is not None:
            self._first.observe(answer.first_s)

    def text(self) -> bytes:
        """In Prometheus' format."""
        state = self.machine.state
        for name, value in (
                ("requests_under_way", len(self.machine.answers)),
                ("sequences", len(state["sequences"])), ("requests_waiting", state["waiting"]),
                ("tokens_under_way", state["flying"]), ("kv_blocks_held", sum(state["kv_held"])),
                ("kv_blocks", state["kv_blocks"] * len(state["kv_held"])),
                ("tokens_sent", state["injected"]), ("machine_cycles", state["cycles"] or 0),
                ("machine_up", int(not self.machine.stopped))):
            self._gauges[name].set(value)
        return generate_latest(self.registry)


GAUGES = {
    "requests_under_way": "Requests that have not ended",
    "sequences": "Requests that hold KV", "requests_waiting": "Requests that wait for KV",
    "tokens_under_way": "Tokens in the machine",
    "kv_blocks_held": "KV blocks reserved, over the members of a head",
    "kv_blocks": "KV blocks that there are", "tokens_sent": "Tokens that went in since the start",
    "machine_cycles": "Clock cycles of a simulated machine, 0 on the golden one",
    "machine_up": "Whether the machine runs"}
