"""Figures of the publication beside what the model says."""
