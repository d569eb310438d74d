"""The wafer itself, its traffic and energy; experiments, sweeps, other machines, comparisons."""
