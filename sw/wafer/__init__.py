"""A language model on the whole wafer: an estimate of one token, and a model of traffic."""
