"""One way to open a model, for every command: the format by its path, the quantisation cached."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ouroboros.sw.models import float_llama, hf, llama2c, tokenizer
from ouroboros.sw.models import integer as quant_model
from ouroboros.sw.models.checkpoint import Checkpoint, CheckpointError
from ouroboros.sw.models.integer import QuantModel, QuantModelError
from ouroboros.sw.quantise import quantise as quantiser

__all__ = ["CACHE", "ModelSource", "open_model"]

CACHE = Path("build/quant")
"""Folder of cached quantisations, relative to the current folder."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ModelSource:
    """An opened checkpoint and its tokenizer."""

    path: Path
    """File or folder it came from."""
    checkpoint: Checkpoint
    """Float weights."""
    tokenizer: tokenizer.Tokenizer | None
    """Its tokenizer, if one was named."""

    def quantised(self, *, calibration: Path | None = None, seed: int = 0,
                  residual_fraction_bits: int | None = None, cache: Path | None = CACHE,
                  progress: Callable[[int, int], None] | None = None) -> QuantModel:
        """The integer model, from the cache if it was made before.

        Parameters
        ----------
        calibration : Path, optional
            Text that sets the scales (needs the tokenizer); sampled from the model when absent.
        cache : Path, optional
            Folder of the cache; None for none.
        """
        text = None if calibration is None else self._read_text(calibration)
        entry = None
        if cache is not None:
            entry = cache / f"{self._key(text, seed, residual_fraction_bits)}.npz"
            with contextlib.suppress(QuantModelError):
                return quant_model.load(entry)
        tokens = None
        if text is not None and self.tokenizer is not None:
            tokens = quantiser.text_calibration(
                self.tokenizer, text, self.checkpoint.shape.seq_len)
        model = quantiser.quantise(
            self.checkpoint, tokens, residual_fraction_bits=residual_fraction_bits, seed=seed,
            progress=progress)
        if entry is not None:
            _store(model, entry)
        return model

    def _read_text(self, path: Path) -> str:
        if self.tokenizer is None:
            raise CheckpointError(f"{path}: a calibration text needs a tokenizer, which is missing")
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{path}: calibration text must be UTF-8") from error

    def _key(self, text: str | None, seed: int, residual_fraction_bits: int | None) -> str:
        total = hashlib.sha256()
        # The quantiser's own code is part of the key: a change of it makes new entries.
        for module in (float_llama, quant_model, quantiser):
            total.update(Path(str(module.__file__)).read_bytes())
        for file in _files(self.path):
            total.update(hashlib.sha256(file.read_bytes()).digest())
        if text is not None and self.tokenizer is not None:
            vocabulary = repr((self.tokenizer.pieces, self.tokenizer.scores))
            total.update(text.encode() + vocabulary.encode())
        total.update(f"{text is None} {seed} {residual_fraction_bits}".encode())
        return total.hexdigest()


def open_model(checkpoint: Path, tokenizer_path: Path | None = None) -> ModelSource:
    """Open a llama2.c ``.bin``, a Hugging Face folder or its ``.safetensors`` file.

    Raises
    ------
    CheckpointError
        If the checkpoint or tokenizer cannot be used, or do not fit each other.
    """
    if checkpoint.is_dir() or checkpoint.suffix == ".safetensors":
        model = hf.read(checkpoint)
    elif checkpoint.suffix == ".bin" or not checkpoint.exists():
        model = llama2c.read(checkpoint)
    else:
        raise CheckpointError(f"{checkpoint}: checkpoint must be a llama2.c .bin, a .safetensors "
                              f"file or a Hugging Face folder, not {checkpoint.suffix or 'a file'}")
    found = None
    if tokenizer_path is not None:
        found = tokenizer.read(tokenizer_path, model.shape.vocab_size)
    return ModelSource(path=checkpoint, checkpoint=model, tokenizer=found)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [path / "config.json", *sorted(path.glob("*.safetensors"))]
    config = path.parent / "config.json"
    return [path, config] if path.suffix == ".safetensors" else [path]


def _store(model: QuantModel, entry: Path) -> None:
    # A cache that cannot be written costs time, nothing else.
    with contextlib.suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        partial = entry.with_suffix(f".{os.getpid()}.part")
        model.save(partial)
        partial.replace(entry)
