"""Weights that options name: a checkpoint of the user's, or the shipped one."""

from dataclasses import dataclass
from pathlib import Path

from ouroboros.sw.api.catalogue import SHIPPED, TOKENIZER
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.options import Options, option
from ouroboros.sw.quantise.source import ModelSource, open_model

__all__ = ["WithCheckpoint", "WithTexts"]


@dataclass(frozen=True, kw_only=True)
class WithCheckpoint(Options):
    """Weights of a language model."""

    checkpoint: Path = option(path="any")
    """llama2.c .bin, .safetensors file or Hugging Face folder."""
    tokenizer: Path | None = option(None)
    """Tokenizer in llama2.c's .bin format."""

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
    """llama2.c .bin, .safetensors file or Hugging Face folder; the shipped one if not given."""
    tokenizer: Path | None = option(None)
    """Tokenizer in llama2.c's .bin format; must be given with --checkpoint."""

    def source(self) -> ModelSource:
        """The model.

        Raises
        ------
        OuroborosError
            If a file cannot be used, or the tokenizer is missing.
        """
        if self.checkpoint is None:
            return open_model(SHIPPED, self.tokenizer or TOKENIZER)
        if self.tokenizer is None:
            raise OuroborosError(f"{self.checkpoint}: --tokenizer must be given with --checkpoint")
        return open_model(self.checkpoint, self.tokenizer)
