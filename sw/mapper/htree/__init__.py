"""Which macro of a core holds which tile of a matrix, so that least is moved over the H-tree."""
