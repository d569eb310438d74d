"""Proofs of single blocks by SMT solver."""
