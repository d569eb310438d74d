"""Experiments on the network: one, load curves, faults and links. RTL's own are added by `tb`."""
