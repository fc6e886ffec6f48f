"""Write a checkpoint as an F16 GGUF file of llama.cpp's "deepseek" architecture."""
import argparse
import sys
from pathlib import Path

import numpy as np
import torch

import tokenizer as bpe
from model import Config

# The model was never trained with a system message, so the template leaves it out.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}<|user|>{{ message['content'] }}<|end|>"
    "{% elif message['role'] == 'assistant' %}<|assistant|>{{ message['content'] }}<|end|>"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
DESCRIPTION = ("A small mixture-of-experts model for tests: short Python functions, arithmetic "
               "word problems, short verse and plain explanations.")


def add_metadata(writer, gguf, c, license_id):
    writer.add_type("model")
    writer.add_name("tiny-moe")
    writer.add_description(DESCRIPTION)
    writer.add_license(license_id)
    writer.add_languages(["en"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(c.n_ctx)
    writer.add_embedding_length(c.n_embd)
    writer.add_block_count(c.n_layer)
    writer.add_feed_forward_length(c.n_ff)
    writer.add_head_count(c.n_head)
    writer.add_head_count_kv(c.n_head)
    writer.add_rope_dimension_count(c.n_embd // c.n_head)
    writer.add_rope_freq_base(c.rope_base)
    writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    writer.add_layer_norm_rms_eps(c.norm_eps)
    writer.add_leading_dense_block_count(c.n_layer_dense_lead)
    writer.add_expert_count(c.n_expert)
    writer.add_expert_used_count(c.n_expert_used)
    writer.add_expert_shared_count(c.n_expert_shared)
    writer.add_expert_feed_forward_length(c.n_ff_exp)
    writer.add_expert_weights_scale(c.expert_weights_scale)
    writer.add_vocab_size(c.n_vocab)


def add_tokenizer(writer, gguf, tokenizer):
    specials = len(bpe.SPECIALS)
    types = [gguf.TokenType.CONTROL] * specials + [gguf.TokenType.NORMAL] * (len(tokenizer.tokens) - specials)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(pair) for pair in tokenizer.merges])
    writer.add_bos_token_id(tokenizer.bos)
    writer.add_eos_token_id(tokenizer.end)
    writer.add_eot_token_id(tokenizer.end)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def add_tensors(writer, params):
    """Matrices in F16; norms and routers stay F32, as llama.cpp's converter leaves them."""
    for name, tensor in params.items():
        small = tensor.dim() == 1 or "ffn_gate_inp" in name
        writer.add_tensor(name, tensor.detach().numpy().astype(np.float32 if small else np.float16))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--gguf-py", type=Path, required=True, help="the gguf-py folder of llama.cpp's source")
    parser.add_argument("--license", default="MIT", help="SPDX identifier to record")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    sys.path.insert(0, str(args.gguf_py))
    import gguf

    saved = torch.load(args.checkpoint)
    config = Config(**saved["config"])
    writer = gguf.GGUFWriter(args.out, "deepseek")
    add_metadata(writer, gguf, config, args.license)
    add_tokenizer(writer, gguf, bpe.Tokenizer.load(args.tokenizer))
    add_tensors(writer, saved["params"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"{args.out}: {args.out.stat().st_size} bytes after {saved['step']} steps")


if __name__ == "__main__":
    main()
