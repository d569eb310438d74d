"""From a float checkpoint to the integer model of the machine, and what that costs."""
