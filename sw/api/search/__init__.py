"""What `ouroboros search` and notebooks call."""
