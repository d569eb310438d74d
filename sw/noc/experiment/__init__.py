"""One experiment on a network: its traffic, who runs it, what it reports."""
