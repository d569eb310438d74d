"""Routes: XY, trees, labels, waypoints, tables, faults, and the check of them all."""
