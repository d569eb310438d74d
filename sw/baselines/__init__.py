"""Other machines on the same traffic: each from published figures, and held against them."""
