"""Shapes of large language models, one TOML file each."""
