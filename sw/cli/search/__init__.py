"""Mappings of mixed serving, studies over instances, and dies of several kinds."""
