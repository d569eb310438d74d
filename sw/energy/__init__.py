"""Energy of a machine: counted events times the figures of a technology."""
