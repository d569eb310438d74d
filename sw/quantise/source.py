"""One way to open a model, for every command: the format by its path, the quantisation cached."""

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ouroboros.sw.lib import read
from ouroboros.sw.lib.folders import cache_folder
from ouroboros.sw.lib.sources import digest
from ouroboros.sw.models import hf, llama2c, named, words
from ouroboros.sw.models import integer as quant_model
from ouroboros.sw.models.chat import ChatTemplate
from ouroboros.sw.models.checkpoint import Checkpoint, CheckpointError
from ouroboros.sw.models.coder import Coder
from ouroboros.sw.models.integer import QuantModel, QuantModelError
from ouroboros.sw.quantise.calibrate import Tokens, sample_calibration, text_calibration
from ouroboros.sw.quantise.choose import quantise_with_loss
from ouroboros.sw.quantise.quantise import check_supported

__all__ = ["ModelSource", "open_model"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ModelSource:
    """An opened checkpoint and its tokenizer."""

    path: Path
    """File or folder it came from."""
    checkpoint: Checkpoint
    """Float weights."""
    tokenizer: Coder | None
    """Its tokenizer, if one was named or found."""
    tokenizer_fault: str = "it has no tokenizer"
    """Why there is none."""
    chat: ChatTemplate | None = None
    """Its chat template, if it has one."""

    @property
    def coder(self) -> Coder:
        """Its tokenizer.

        Raises
        ------
        CheckpointError
            If there is none that can be used; the message says why.
        """
        if self.tokenizer is None:
            raise CheckpointError(self.tokenizer_fault)
        return self.tokenizer

    def quantised(self, *, scheme: str = "R", calibration: Path | None = None, seed: int = 0,
                  residual_fraction_bits: int | None = None, positions: int | None = None,
                  cache: Path | None = None,
                  progress: Callable[[int, int], None] | None = None) -> QuantModel:
        """The integer model with its loss, from the cache if it was made before.

        A warning is logged where the loss is above ``sw.models.loss.LIMIT_PERCENT``.

        Parameters
        ----------
        scheme : str
            R, which every machine runs, R2, or ``sw.quantise.choose.AUTO``.
        calibration : Path, optional
            Text that sets the scales (needs the tokenizer); sampled from the model when absent.
        positions : int, optional
            Longest sequence that the integer model takes; that of the checkpoint when absent, which
            programs may not take: ``sw.mapper.integers``.
        cache : Path, optional
            Folder of the cache; the project's when absent.
        """
        text = None if calibration is None else self._read_text(calibration)
        folder = cache_folder("quant") if cache is None else cache
        entry = folder / f"{self._key(text, scheme, seed, residual_fraction_bits, positions)}.npz"
        try:
            model = quant_model.load(entry)
        except QuantModelError:
            model = self._make(calibration, text, scheme, seed, residual_fraction_bits, positions,
                               progress)
            _store(model, entry)
        warning = "its loss was not measured" if model.loss is None else model.loss.warning()
        if warning is not None:
            _logger.warning("Warning: %s: %s", self.path, warning)
        return model

    def _make(self, calibration: Path | None, text: str | None, scheme: str, seed: int,
              residual_fraction_bits: int | None, positions: int | None,
              progress: Callable[[int, int], None] | None) -> QuantModel:
        check_supported(self.checkpoint)
        if text is None or self.tokenizer is None:
            tokens: Tokens = sample_calibration(self.checkpoint, seed)
        else:
            shape = self.checkpoint.shape
            if shape.seq_len < 2:
                raise QuantModelError(f"{self.path}: {self.checkpoint.label('seq_len')} must be at "
                                      f"least 2 for a calibration text, not {shape.seq_len}")
            try:
                tokens = text_calibration(self.tokenizer, text, shape.seq_len)
            except QuantModelError as error:
                raise QuantModelError(f"{calibration}: {error}") from None
        return quantise_with_loss(
            self.checkpoint, tokens, scheme=scheme, progress=progress,
            residual_fraction_bits=residual_fraction_bits, positions=positions)

    def _read_text(self, path: Path) -> str:
        if self.tokenizer is None:
            raise CheckpointError(f"{path}: a calibration text needs a tokenizer: "
                                  f"{self.tokenizer_fault}")
        return read.text(path, "a calibration text", CheckpointError)

    def _key(self, text: str | None, scheme: str, seed: int,
             residual_fraction_bits: int | None, positions: int | None) -> str:
        # The quantiser's own code is part of the key: a change of it makes new entries.
        total = hashlib.sha256(f"{digest(Path(__file__))} {self.checkpoint.digest} {text is None} "
                               f"{scheme} {seed} {residual_fraction_bits} {positions}".encode())
        if text is not None and self.tokenizer is not None:
            total.update(text.encode() + self.tokenizer.digest.encode())
        return total.hexdigest()


def open_model(checkpoint: Path, tokenizer_path: Path | None = None) -> ModelSource:
    """Open a checkpoint: by name, a llama2.c, GGUF or ``.safetensors`` file, or a folder.

    Names are those of ``sw.models.named``; a folder is one of Hugging Face. Without a path of its
    own the tokenizer is looked for inside the checkpoint and beside it.

    Raises
    ------
    CheckpointError
        If the checkpoint or tokenizer cannot be used, or do not fit each other.
    """
    path = _alone(named.find(checkpoint))
    model = _read(path)
    found = words.find(path, model, tokenizer_path)
    if found.coder is not None and found.coder.special != model.special:
        # The tokenizer's file knows better whether its texts begin with BOS.
        model = replace(model, special=found.coder.special)
    return ModelSource(path=path, checkpoint=model, tokenizer=found.coder,
                       tokenizer_fault=found.fault, chat=found.chat)


def _alone(path: Path) -> Path:
    """The GGUF file of a folder that holds one and no Hugging Face model."""
    if path.is_dir() and not (path / "config.json").exists():
        files = list(path.glob("*.gguf"))
        return files[0] if len(files) == 1 else path
    return path


def _read(path: Path) -> Checkpoint:
    if path.is_dir() or path.suffix == ".safetensors":
        return hf.read(path)
    if words.is_gguf(path):
        # Its library takes long to import.
        from ouroboros.sw.models import gguf_file

        return gguf_file.read(path)
    if path.suffix == ".bin" or not path.exists():
        return llama2c.read(path)
    wanted = "a llama2.c .bin, a .gguf or .safetensors file or a Hugging Face folder"
    read.refuse_foreign(path, read.raw(path, CheckpointError), wanted, CheckpointError)
    raise CheckpointError(f"{path}: checkpoint must be {wanted}, not {path.suffix or 'a file'}")


def _store(model: QuantModel, entry: Path) -> None:
    # A cache that cannot be written costs time, nothing else.
    with contextlib.suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        partial = entry.with_suffix(f".{os.getpid()}.part")
        model.save(partial)
        partial.replace(entry)
