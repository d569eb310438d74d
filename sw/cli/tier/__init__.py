"""Memory with processing units. The RTL's own command is added by `tb`."""
