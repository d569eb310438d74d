"""An OpenAI-compatible server in front of a machine, golden or simulated."""
