"""Model (b): loads of links from flows alone."""
