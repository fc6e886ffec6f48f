"""The model as llama.cpp computes its "deepseek" architecture.

Parameters carry the GGUF tensor names, and matrices are stored as [out, in], so
that export is a plain copy. Letters in shape comments: B sequences, L positions,
T = B * L tokens, D width, H heads, K head size, E experts, F expert width, S
token-expert pairs sorted by expert.
"""
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Config:
    n_vocab: int = 2048
    n_ctx: int = 512
    n_embd: int = 256
    n_layer: int = 4
    n_layer_dense_lead: int = 1
    n_head: int = 4
    n_ff: int = 768
    n_expert: int = 16
    n_expert_used: int = 4
    n_expert_shared: int = 1
    n_ff_exp: int = 256
    expert_weights_scale: float = 2.0
    rope_base: float = 10000.0
    norm_eps: float = 1e-5


def parameter_shapes(c):
    """GGUF tensor name -> shape, in file order."""
    shapes = {"token_embd.weight": (c.n_vocab, c.n_embd)}
    for i in range(c.n_layer):
        b = f"blk.{i}."
        shapes[b + "attn_norm.weight"] = (c.n_embd,)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            shapes[f"{b}{part}.weight"] = (c.n_embd, c.n_embd)
        shapes[b + "ffn_norm.weight"] = (c.n_embd,)
        shapes |= dense_shapes(b, "", c.n_embd, c.n_ff) if i < c.n_layer_dense_lead else moe_shapes(b, c)
    shapes["output_norm.weight"] = (c.n_embd,)
    shapes["output.weight"] = (c.n_vocab, c.n_embd)
    return shapes


def dense_shapes(b, suffix, width, hidden):
    return {f"{b}ffn_gate{suffix}.weight": (hidden, width),
            f"{b}ffn_up{suffix}.weight": (hidden, width),
            f"{b}ffn_down{suffix}.weight": (width, hidden)}


def moe_shapes(b, c):
    return {b + "ffn_gate_inp.weight": (c.n_expert, c.n_embd),
            b + "ffn_gate_exps.weight": (c.n_expert, c.n_ff_exp, c.n_embd),
            b + "ffn_up_exps.weight": (c.n_expert, c.n_ff_exp, c.n_embd),
            b + "ffn_down_exps.weight": (c.n_expert, c.n_embd, c.n_ff_exp),
            **dense_shapes(b, "_shexp", c.n_embd, c.n_ff_exp * c.n_expert_shared)}


def initial_parameters(c, seed):
    generator = torch.Generator().manual_seed(seed)
    params = {}
    for name, shape in parameter_shapes(c).items():
        if "norm" in name:
            tensor = torch.ones(shape)
        else:
            std = 0.04 / (2 * c.n_layer) ** 0.5 if "attn_output" in name or "ffn_down" in name else 0.04
            tensor = torch.randn(shape, generator=generator) * std
        params[name] = tensor.requires_grad_()
    return params


class GroupedMatmul(torch.autograd.Function):
    """y = x @ w[e].T, where consecutive groups of rows belong to consecutive e.

    A loop over groups is faster here than padding every expert to the largest.
    """

    @staticmethod
    def forward(ctx, x, w, counts):  # x [S, in], w [E, out, in] -> [S, out]
        ctx.save_for_backward(x, w)
        ctx.counts = counts
        y = x.new_empty(len(x), w.shape[1])
        for xe, ye, we in zip(x.split(counts), y.split(counts), w):
            torch.mm(xe, we.t(), out=ye)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        dx, dw = torch.empty_like(x), torch.empty_like(w)
        groups = zip(x.split(ctx.counts), dy.contiguous().split(ctx.counts), dx.split(ctx.counts), w, dw)
        for xe, dye, dxe, we, dwe in groups:
            torch.mm(dye, we, out=dxe)
            torch.mm(dye.t(), xe, out=dwe)
        return dx, dw, None


class Model:
    def __init__(self, config, params, dtype=torch.float32):
        """dtype is the type of the large matrix products; the rest is float32."""
        self.config, self.params, self.dtype = config, params, dtype
        self.cos, self.sin = rope_tables(config)
        self.mask = torch.full((config.n_ctx, config.n_ctx), float("-inf")).triu(1)

    def forward(self, tokens):
        """tokens [B, L] -> logits [T, n_vocab], balance loss, expert counts [layers, E]."""
        c = self.config
        batch, length = tokens.shape
        x = F.embedding(tokens.reshape(-1), self.params["token_embd.weight"])  # [T, D]
        balance, counts = torch.zeros(()), []
        for i in range(c.n_layer):
            x = x + self.attention(f"blk.{i}.", self.norm(x, f"blk.{i}.attn_norm"), batch, length)
            h = self.norm(x, f"blk.{i}.ffn_norm")
            if i < c.n_layer_dense_lead:
                x = x + self.dense(f"blk.{i}.", "", h)
            else:
                routed, loss, count = self.experts(f"blk.{i}.", h)
                x = x + routed + self.dense(f"blk.{i}.", "_shexp", h)
                balance = balance + loss
                counts.append(count)
        logits = self.linear(self.norm(x, "output_norm"), "output")
        return logits, balance, torch.tensor(counts)

    def linear(self, x, name):
        return F.linear(x.to(self.dtype), self.params[name + ".weight"].to(self.dtype)).float()

    def norm(self, x, name):
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.config.norm_eps)
        return x * scale * self.params[name + ".weight"]

    def dense(self, b, suffix, h):
        gate = F.silu(self.linear(h, f"{b}ffn_gate{suffix}"))
        return self.linear(gate * self.linear(h, f"{b}ffn_up{suffix}"), f"{b}ffn_down{suffix}")

    def attention(self, b, h, batch, length):
        c = self.config
        def heads(name):  # [T, D] -> [B * H, L, K]
            y = self.linear(h, b + name).view(batch, length, c.n_head, -1)
            return y.transpose(1, 2).reshape(batch * c.n_head, length, -1)
        q = self.rope(heads("attn_q")).to(self.dtype)
        k = self.rope(heads("attn_k")).to(self.dtype)
        v = heads("attn_v").to(self.dtype)
        scores = torch.bmm(q * q.shape[-1] ** -0.5, k.transpose(1, 2)).float()  # [B * H, L, L]
        weights = F.softmax(scores + self.mask[:length, :length], dim=-1).to(self.dtype)
        y = torch.bmm(weights, v).view(batch, c.n_head, length, -1)
        return self.linear(y.transpose(1, 2).reshape(batch * length, c.n_embd), b + "attn_output")

    def rope(self, x):
        """Rotate the pairs (0, 1), (2, 3), ... of each head: llama.cpp's NORM rope."""
        cos, sin = self.cos[:x.shape[1]], self.sin[:x.shape[1]]  # [L, K / 2]
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)

    def experts(self, b, h):
        """Routed experts: softmax over all, the top few, weights not renormalised."""
        c, p = self.config, self.params
        probs = F.softmax(F.linear(h, p[b + "ffn_gate_inp.weight"]), dim=-1)  # [T, E]
        weights, chosen = probs.topk(c.n_expert_used, dim=-1)  # [T, used]
        order = chosen.flatten().argsort()  # S = T * used pairs, by expert
        count = torch.bincount(chosen.flatten(), minlength=c.n_expert)
        counts = count.tolist()

        def product(x, name):
            return GroupedMatmul.apply(x, p[f"{b}ffn_{name}_exps.weight"].to(self.dtype), counts)
        x = h.to(self.dtype).index_select(0, order // c.n_expert_used)  # [S, D]
        hidden = F.silu(product(x, "gate")) * product(x, "up")  # [S, F]
        y = product(hidden, "down").index_select(0, order.argsort())  # back to token order
        y = y.view(len(h), c.n_expert_used, -1) * (weights * c.expert_weights_scale).unsqueeze(-1).to(self.dtype)
        share = count / count.sum()
        balance = c.n_expert * (share * probs.mean(0)).sum()  # 1 when perfectly even
        return y.float().sum(1), balance, counts


def rope_tables(c):
    size = c.n_embd // c.n_head
    frequency = c.rope_base ** (-torch.arange(0, size, 2) / size)
    angle = torch.arange(c.n_ctx).unsqueeze(1) * frequency
    return angle.cos(), angle.sin()
