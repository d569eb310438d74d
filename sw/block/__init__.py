"""A transformer block, described once: tilings, stages, flows, cores."""
