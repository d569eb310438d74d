"""What the commands of the wafer model and notebooks call."""
