"""Memory that computes attention: beside GPUs as published, and at the wafer's edge."""
