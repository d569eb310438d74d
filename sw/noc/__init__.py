"""The network as the host sees it: traffic, models, routes around faults."""
