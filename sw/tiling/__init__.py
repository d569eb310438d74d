"""Models cut into tiles for the cores of a machine, and the traffic between the tiles."""
