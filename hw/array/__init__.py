"""Array unit: macros, adder tree, and who commands them."""
