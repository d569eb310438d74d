"""Readers of checkpoints and tokenizers, and the float reference decoder."""
