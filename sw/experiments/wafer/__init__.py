"""The paper's experiments on the wafer model: one file each, all of points of one kind."""
