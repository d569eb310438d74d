"""A machine that is hurt while it runs: what happens to it, noticed, and mended."""
