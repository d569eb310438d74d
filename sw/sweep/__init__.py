"""Many points of a model: kept by digest, run here or on workers, shown as a table."""
