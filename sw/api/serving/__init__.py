"""What `ouroboros serve` and `serve-trace` call."""
