"""Speed of the annealer's kernel.

``python -m ouroboros.sw.cli.place_speed FILE [--seconds S] [--threads N]``

Counts evaluated moves only: proposals outside the grid, on dead cores or outside the thread's
stripe are drawn but do not count. Prints moves per second of wall time and of processor time, as
the two differ where other programs run.
"""

import time
from pathlib import Path

import click

from ouroboros.sw.cli.options import json_option, write_json
from ouroboros.sw.place.anneal import anneal
from ouroboros.sw.place.curves import baselines
from ouroboros.sw.place.instance import read_instance
from ouroboros.sw.place.start import best_start

__all__ = ["speed"]


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--seconds", default=5.0, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1, 64))
@json_option
def speed(path: Path, seconds: float, threads: int, json_path: Path | None) -> None:
    """Measure evaluated moves per second on an instance."""
    instance = read_instance(path)
    start = best_start(instance, baselines(instance))
    anneal(instance, start, moves=1000, threads=threads)        # compiles
    began = time.process_time()
    found = anneal(instance, start, seconds=seconds, threads=threads)
    processor_s = time.process_time() - began
    per_processor_s = found.evaluated / processor_s
    results = {"instance": instance.name, "threads": threads, "moves": found.evaluated,
               "accepted": found.accepted, "wall_s": found.seconds, "processor_s": processor_s,
               "moves_per_s": found.moves_per_s,
               "moves_per_processor_s": per_processor_s}
    click.echo(f"{instance.name}: {found.moves_per_s / 1e6:.2f} M evaluated moves/s on {threads} "
               f"thread(s), {per_processor_s / 1e6:.2f} M per second of "
               f"processor time, {found.accepted / found.evaluated:.1%} accepted")
    write_json(json_path, results)


if __name__ == "__main__":
    speed()
