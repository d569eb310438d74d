"""Waves of chosen cores: recorded, laid out for viewers, asked."""
