"""Weights that options name: a checkpoint of the user's, or the shipped one."""

from dataclasses import dataclass
from pathlib import Path

from ouroboros.sw.api.catalogue import SHIPPED
from ouroboros.sw.lib.options import Options, option
from ouroboros.sw.quantise.source import ModelSource, open_model

__all__ = ["WithCheckpoint", "WithTexts"]


@dataclass(frozen=True, kw_only=True)
class WithCheckpoint(Options):
    """Weights of a language model."""

    checkpoint: Path = option(path="any")
    """Name (ouroboros list checkpoints), llama2.c .bin, .gguf or .safetensors file, or Hugging Face
    folder."""
    tokenizer: Path | None = option(None, path="any")
    """tokenizer.json or llama2.c's .bin; by default what lies in the checkpoint or beside it."""

    def source(self) -> ModelSource:
        """The model.

        Raises
        ------
        OuroborosError
            If a file cannot be used.
        """
        return open_model(self.checkpoint, self.tokenizer)


@dataclass(frozen=True, kw_only=True)
class WithTexts(Options):
    """Weights of a language model and the tokenizer of its texts, by default the shipped ones."""

    checkpoint: Path | None = option(None, path="any")
    """Name (ouroboros list checkpoints), llama2.c .bin, .gguf or .safetensors file, or Hugging Face
    folder; the shipped one if not given."""
    tokenizer: Path | None = option(None, path="any")
    """tokenizer.json or llama2.c's .bin; by default what lies in the checkpoint or beside it."""

    def source(self) -> ModelSource:
        """The model.

        Raises
        ------
        OuroborosError
            If a file cannot be used.
        """
        return open_model(self.checkpoint or SHIPPED, self.tokenizer)
