"""Ouroboros: an open wafer-scale SRAM compute-in-memory accelerator for language models.

The folders of the project are packages below this one: ``ouroboros.hw`` (hardware generator),
``ouroboros.sw`` (models, mapper, runtime, commands), ``ouroboros.tb`` (test benches and
simulators) and ``ouroboros.floorplan``.
"""

__version__ = "0.1.0"
