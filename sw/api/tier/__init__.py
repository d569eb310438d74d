"""What `ouroboros tier` and notebooks call."""
