"""The ``ouroboros`` command line."""

import os

# Before numpy is first imported: the models' matrices are small, and where other programs are
# running, two BLAS threads on them were measured 4 times as slow as one. A user's setting wins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
