"""Dimensions of a model from its Hugging Face config.json alone, without weights."""

from pathlib import Path

from ouroboros.sw.lib.json_file import read_object
from ouroboros.sw.models import hf_config
from ouroboros.sw.models.decoder_shape import CheckpointError
from ouroboros.sw.models.shape import ModelShape, load_shape

__all__ = ["any_shape", "config_shape"]


def config_shape(path: Path) -> ModelShape:
    """Dimensions of a LLaMA-type model.

    Raises
    ------
    CheckpointError
        If the file is no such config.json; the message names file and key.
    """
    config = read_object(path, CheckpointError)
    found = hf_config.shape(path, config)
    return ModelShape(
        name=path.resolve().parent.name or path.stem, source=str(path), dim=found.dim,
        hidden_dim=found.hidden_dim, n_layers=found.n_layers, n_heads=found.n_heads,
        n_kv_heads=found.n_kv_heads, vocab_size=found.vocab_size, head_dim=found.head_dim,
        tied_head=hf_config.flag(path, config, "tie_word_embeddings"))


def any_shape(name_or_path: str) -> ModelShape:
    """A shipped shape by name, or the path of a TOML file or a config.json.

    Raises
    ------
    ShapeError, CheckpointError
        If there is no such shape, or its file is wrong.
    """
    path = Path(name_or_path)
    return config_shape(path) if path.suffix == ".json" else load_shape(name_or_path)
