"""What the JSON files of a Hugging Face folder say of a model: dimensions, RoPE, special tokens.

Keys are those of LlamaConfig, MistralConfig and Qwen2Config; what they leave out has the value that these give
it. Whatever changes the model's arithmetic is supported or refused by its name, never passed over.
"""

from pathlib import Path
from typing import Any

from ouroboros.sw.lib.json_file import read_object
from ouroboros.sw.models.decoder_shape import CheckpointError, DecoderShape, positive
from ouroboros.sw.models.rope import LinearScaling, Llama3Scaling, Scaling
from ouroboros.sw.models.special import SpecialTokens

__all__ = ["KEYS", "biased", "flag", "shape", "special_tokens"]

KEYS = {
    "dim": "hidden_size",
    "hidden_dim": "intermediate_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "vocab_size": "vocab_size",
    "seq_len": "max_position_embeddings",
    "norm_eps": "rms_norm_eps",
    "rope_theta": "rope_theta",
}
"""Dimensions and their keys in config.json."""
_MODEL_TYPES = ("llama", "mistral", "qwen2")
_OPTIONAL = ("norm_eps", "rope_theta", "head_dim")
_ROPE_TABLES = ("rope_scaling", "rope_parameters")
"""Older and newer name of the same table."""
_ROPE_KEYS = {
    "default": (),
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor",
               "original_max_position_embeddings"),
}
"""Kinds of RoPE that are supported, and the keys that each must have."""

Table = dict[str, Any]


def flag(path: Path, config: Table, key: str) -> bool:
    """A key that is true or false; false where it is absent."""
    value = config.get(key, False)
    if type(value) is not bool:
        raise CheckpointError(f"{path}: {key} must be true or false, not {value!r}")
    return value


def biased(config: Table) -> bool:
    """Whether something is added to queries, keys and values."""
    return config.get("model_type") == "qwen2"


def shape(path: Path, config: Table) -> DecoderShape:
    """Dimensions of a LLaMA-type model.

    Raises
    ------
    CheckpointError
        If a key is missing or wrong, or asks for arithmetic that is not LLaMA's.
    """
    if config.get("model_type") not in _MODEL_TYPES:
        raise CheckpointError(f"{path}: model_type must be one of {', '.join(_MODEL_TYPES)}, "
                              f"not {config.get('model_type')!r}")
    # Absent or null means plain multi-head attention.
    if config.get("num_key_value_heads") is None:
        config = config | {"num_key_value_heads": config.get("num_attention_heads")}
    dims: dict[str, Any] = {
        name: _whole(path, config, key) for name, key in KEYS.items()
        if name not in _OPTIONAL}
    heads = dims["n_heads"]
    if config.get("head_dim") is not None:
        dims["head_dim"] = _whole(path, config, "head_dim")
    elif dims["dim"] % heads:
        raise CheckpointError(f"{path}: hidden_size must be a multiple of num_attention_heads = "
                              f"{heads}, not {dims['dim']}")
    if heads % dims["n_kv_heads"]:
        raise CheckpointError(f"{path}: num_key_value_heads must divide num_attention_heads = "
                              f"{heads}, not {dims['n_kv_heads']}")
    if dims.get("head_dim", dims["dim"] // heads) % 2:
        what = "head_dim" if "head_dim" in dims else "hidden_size / num_attention_heads"
        raise CheckpointError(f"{path}: {what} must be even for RoPE, "
                              f"not {dims.get('head_dim', dims['dim'] // heads)}")
    if config.get("hidden_act", "silu") != "silu":
        raise CheckpointError(f"{path}: hidden_act must be silu, not {config['hidden_act']!r}")
    for key in ("attention_bias", "mlp_bias"):
        if flag(path, config, key):
            raise CheckpointError(f"{path}: {key} must be false")
    # Qwen2's files name a window that most of its models do not use.
    unused = biased(config) and not flag(path, config, "use_sliding_window")
    window = None if unused else config.get("sliding_window")
    if window is not None and (type(window) is not int or window < dims["seq_len"]):
        raise CheckpointError(f"{path}: sliding_window must be null or at least "
                              f"max_position_embeddings = {dims['seq_len']}, not {window!r}")
    theta, scaling = _rope(path, config)
    return DecoderShape(**dims, norm_eps=_positive(path, config, "rms_norm_eps", 1e-6),
                 rope_theta=theta, rope_scaling=scaling)


def special_tokens(folder: Path, config: Table, vocab_size: int) -> SpecialTokens:
    """Tokens that begin and end a text, by generation_config.json before config.json.

    A tokenizer_config.json whose ``add_bos_token`` is false says that texts begin without BOS.

    Raises
    ------
    CheckpointError
        If one is no token of the vocabulary; the message names file and key.
    """
    tables = [(folder / "config.json", config)]
    generation, coder = folder / "generation_config.json", folder / "tokenizer_config.json"
    if generation.exists():
        tables.insert(0, (generation, read_object(generation, CheckpointError)))
    begins = not coder.exists() or (
        read_object(coder, CheckpointError).get("add_bos_token") is not False)

    def find(key: str, default: int) -> tuple[int, ...]:
        for path, table in tables:
            if key in table:
                return _ids(path, table, key, vocab_size)
        return (default,) if default < vocab_size else ()

    bos = find("bos_token_id", 1)
    if len(bos) > 1:
        raise CheckpointError(f"{folder}: bos_token_id must be one token, not {list(bos)}")
    return SpecialTokens(bos_id=bos[0] if bos and begins else None,
                         stop_ids=find("eos_token_id", 2))


def _whole(path: Path, table: Table, key: str) -> int:
    if key not in table:
        raise CheckpointError(f"{path}: key {key} must be present")
    value = table[key]
    if type(value) is not int:
        raise CheckpointError(f"{path}: {key} must be a whole number, not {value!r}")
    if not 1 <= value < 2**31:
        raise CheckpointError(f"{path}: {key} must be between 1 and {2**31 - 1}, not {value!r}")
    return value


def _positive(path: Path, table: Table, key: str, default: float) -> float:
    value = table.get(key, default)
    if not positive(value):
        raise CheckpointError(f"{path}: {key} must be a positive number, not {value!r}")
    return float(value)


def _rope(path: Path, config: Table) -> tuple[float, Scaling | None]:
    """Base and scaling; every statement of them must say the same."""
    for key, value in config.items():
        known = key in ("rope_theta", *_ROPE_TABLES) or _whole_head(key, value)
        # What is null or false is not there.
        if ("rope" in key or "rotary" in key) and not known and value not in (None, False):
            raise CheckpointError(f"{path}: {key} must be absent, as such RoPE is not supported, "
                                  f"not {value!r}")
    base = _positive(path, config, "rope_theta", 10000.0)
    found: list[tuple[str, float, Scaling | None]] = []
    for key in _ROPE_TABLES:
        table = config.get(key)
        if table is not None:
            if not isinstance(table, dict):
                raise CheckpointError(f"{path}: {key} must be an object or null, not {table!r}")
            theta = _positive(path, table, "rope_theta", base)
            if "rope_theta" in config and theta != base:
                raise CheckpointError(f"{path}: {key}.rope_theta must be rope_theta = {base:g}, "
                                      f"not {theta:g}")
            found.append((key, theta, _scaling(path, key, table)))
    if len(found) == 2 and found[0][1:] != found[1][1:]:
        raise CheckpointError(f"{path}: rope_scaling must say the same as rope_parameters, not "
                              f"{config['rope_scaling']!r} beside {config['rope_parameters']!r}")
    return found[0][1:] if found else (base, None)


def _scaling(path: Path, key: str, table: Table) -> Scaling | None:
    kinds = {name: table[name] for name in ("rope_type", "type") if name in table}
    if len(kinds) == 2 and kinds["rope_type"] != kinds["type"]:
        raise CheckpointError(f"{path}: {key}.type must be rope_type = {kinds['rope_type']!r}, "
                              f"not {kinds['type']!r}")
    others = sorted(table.keys() - {"rope_type", "type", "rope_theta"})
    if not kinds and others:
        raise CheckpointError(f"{path}: {key} must have the key rope_type beside {others[0]}")
    kind = next(iter(kinds.values()), "default")
    if not isinstance(kind, str) or kind not in _ROPE_KEYS:
        raise CheckpointError(f"{path}: {key} must be of type {', '.join(_ROPE_KEYS)}, "
                              f"not {kind!r}")
    for name in others:
        if name not in _ROPE_KEYS[kind] and not _whole_head(name, table[name]):
            raise CheckpointError(f"{path}: {key}.{name} must be absent for type {kind}, "
                                  f"not {table[name]!r}")
    for name in _ROPE_KEYS[kind]:
        if not positive(table.get(name)):
            raise CheckpointError(f"{path}: {key}.{name} must be a positive number for type "
                                  f"{kind}, not {table.get(name)!r}")
    if kind == "default":
        return None
    if table["factor"] < 1:
        raise CheckpointError(f"{path}: {key}.factor must be at least 1, not {table['factor']!r}")
    if kind == "linear":
        return LinearScaling(factor=float(table["factor"]))
    low, high = float(table["low_freq_factor"]), float(table["high_freq_factor"])
    if low >= high:
        raise CheckpointError(f"{path}: {key}.high_freq_factor must be above low_freq_factor = "
                              f"{low:g}, not {high:g}")
    return Llama3Scaling(factor=float(table["factor"]), low_freq_factor=low, high_freq_factor=high,
                         original_positions=_whole(path, table, "original_max_position_embeddings"))


def _whole_head(key: str, value: object) -> bool:
    """Whether a key says that all of a head turns, as LLaMA's do."""
    return key == "partial_rotary_factor" and value == 1


def _ids(path: Path, table: Table, key: str, vocab_size: int) -> tuple[int, ...]:
    """One token, several, or none for null."""
    value = table[key]
    ids = [] if value is None else value if isinstance(value, list) else [value]
    for token in ids:
        if type(token) is not int or not 0 <= token < vocab_size:
            raise CheckpointError(f"{path}: {key} must be between 0 and {vocab_size - 1}, "
                                  f"not {token!r}")
    return tuple(dict.fromkeys(ids))
