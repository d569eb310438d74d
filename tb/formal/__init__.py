"""Proofs by SMT solver, of blocks and of a router."""
