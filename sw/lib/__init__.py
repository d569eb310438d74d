"""What every package may use: errors, JSON files, compiled kernels."""
