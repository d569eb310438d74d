# %% [markdown]
# # Your own checkpoint: from weights to tokens
#
# Two formats are read: a llama2.c file, and a Hugging Face folder with `config.json` and
# `.safetensors` files. This tutorial writes the same model in both, so that it needs no download;
# put your own paths in their place.

# %%
import json
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.models import checkpoints, llama2c
from ouroboros.sw.quantise.evaluate import evaluate, sample_evaluation
from ouroboros.sw.quantise.source import open_model
from ouroboros.sw.runtime.service import serve

shipped = Path(str(checkpoints.__file__)).parent
tokenizer = shipped / "tales_tokenizer.bin"
model = llama2c.read(shipped / "tales.bin")
print(f"{model.parameter_count:,} weights: {model.shape.n_layers} layers of width "
      f"{model.shape.dim}, {model.shape.n_heads} heads, {model.shape.n_kv_heads} KV heads")

# %% [markdown]
# ## A Hugging Face folder
#
# Names and layout are those of LLaMA-type models there. One thing differs: rows of q and k are
# stored for the half-split form of RoPE, while this project, like llama2.c, turns neighbours. The
# reader puts them in order; here the writer undoes it.

# %%
NAMES = {"norm1": "input_layernorm", "wq": "self_attn.q_proj", "wk": "self_attn.k_proj",
         "wv": "self_attn.v_proj", "wo": "self_attn.o_proj", "norm2": "post_attention_layernorm",
         "w1": "mlp.gate_proj", "w2": "mlp.down_proj", "w3": "mlp.up_proj"}


def half_split(rows, head_dim):
    """Rows of neighbours (0, 1), (2, 3), .. as halves: even ones first, then odd ones."""
    pairs = rows.reshape(-1, head_dim // 2, 2, rows.shape[-1])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(rows.shape)


def write_folder(folder, model):
    """The model as Hugging Face stores it."""
    shape = model.shape
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "hidden_size": shape.dim, "intermediate_size": shape.hidden_dim,
        "num_hidden_layers": shape.n_layers, "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads, "vocab_size": shape.vocab_size,
        "max_position_embeddings": shape.seq_len, "rms_norm_eps": shape.norm_eps,
        "rope_theta": shape.rope_theta, "tie_word_embeddings": model.tied,
        "hidden_act": "silu", "bos_token_id": model.special.bos_id}))
    tensors = {"model.embed_tokens.weight": model.embedding, "model.norm.weight": model.final_norm}
    for n, layer in enumerate(model.layers):
        for name, label in NAMES.items():
            array = getattr(layer, name)
            if name in ("wq", "wk"):
                array = half_split(array, shape.head_dim)
            tensors[f"model.layers.{n}.{label}.weight"] = array
    save_file(tensors, folder / "model.safetensors")


work = Path(tempfile.mkdtemp())
llama2c.write(work / "model.bin", model)
write_folder(work / "model", model)
source = open_model(work / "model", tokenizer)
same = open_model(work / "model.bin", tokenizer)
for n, layer in enumerate(same.checkpoint.layers):
    for name in NAMES:
        assert np.array_equal(getattr(source.checkpoint.layers[n], name), getattr(layer, name))
print("both formats give the same weights")

# %% [markdown]
# ## Integers
#
# The machine computes with int8 weights, int8 activations and int32 sums. The quantiser finds
# static scales on text that it samples from the model itself, or on a file of yours
# (`ouroboros quantise --calibration FILE`). What that costs is measured against the float model.

# %%
integers = source.quantised()
tokens = sample_evaluation(source.checkpoint, 250, seed=0)
loss = evaluate(source.checkpoint, integers, tokens)
print(f"perplexity {loss.float_perplexity:.3f} as float, {loss.integer_perplexity:.3f} as "
      f"integers; same first choice at {loss.top1_agreement_percent:.0f} % of positions")
assert loss.top1_agreement_percent > 90

# %% [markdown]
# ## Tokens
#
# `serve` maps the integers onto a machine and runs prompts. On `golden` it is the machine's golden
# model that runs, with the same packets and programs as the RTL; `verilator` or `icarus` in its
# place runs the RTL and compares every logit.

# %%
served = serve(source, load_machine("small"), ["Once upon a time"], tokens=8, on="golden")
print(served.texts[0])
assert served.texts[0].startswith("Once upon a time, ")

# %% [markdown]
# On the command line that is `ouroboros run --checkpoint model/ --tokenizer tokenizer.bin
# --prompt "Once upon a time" --on verilator`. A model that does not fit the machine is refused with
# the limit and by how much it is missed; `docs/generated/machines.md` says what can be changed.
