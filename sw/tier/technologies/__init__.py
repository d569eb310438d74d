"""DRAM technologies of pools, as TOML files."""
