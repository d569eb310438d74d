"""How a model is cut and placed, and placed again around faults; yield."""
