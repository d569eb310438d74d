"""What the commands of tiles and places, and notebooks, call."""
