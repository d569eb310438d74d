"""Special-function unit: every operation that is not a matrix product."""
