"""First, analytic model of a language model on the whole wafer."""
