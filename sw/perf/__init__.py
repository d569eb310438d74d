"""Performance models: cycles of a placed program, and a first analytic model of the wafer."""
