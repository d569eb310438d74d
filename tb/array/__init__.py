"""Bench of the array unit and its adder tree."""
