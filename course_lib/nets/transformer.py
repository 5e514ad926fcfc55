"""Attention between two sequences, and the transformers made of it: a text encoder, and the block in which pixels look at
words (Vaswani et al. 2017; Rombach et al. 2022, sec. 3.3 and table 17; lesson 11b).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import checks
from course_lib.nets.blocks import check_channels, starts_at_zero


class CrossAttention(nn.Module):
    """Each row of x looks at all rows of a context: queries from x, keys and values from the context, in several heads.

    x: (batch, n, width); context: (batch, m, its width), or x itself; mask: (batch, m), False for rows that no one may see.
    """

    def __init__(self, width: int, heads: int, context: int | None = None):
        super().__init__()
        check_channels(heads, width=width)
        self.heads, context = heads, width if context is None else checks.whole("context", context, 1)
        self.q = nn.Linear(width, width, bias=False)
        self.k, self.v = (nn.Linear(context, width, bias=False) for _ in range(2))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        context = x if context is None else context
        q, k, v = self._split(self.q(x)), self._split(self.k(context)), self._split(self.v(context))
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=_over_heads(mask))
        return self.out(seen.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """How much each row of x looks at each row of the context, (batch, heads, n, m); each row sums to 1."""
        q, k = self._split(self.q(x)), self._split(self.k(x if context is None else context))
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        return (scores if mask is None else scores.masked_fill(~_over_heads(mask), -torch.inf)).softmax(-1)

    def _split(self, x: Tensor) -> Tensor:
        """(batch, n, width) to (batch, heads, n, width / heads)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Sequential):
    """Each position by itself, through a layer four times as wide."""

    def __init__(self, width: int):
        super().__init__(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


class TextBlock(nn.Module):
    """Self-attention, then an MLP, each with a layer norm before it and a shortcut around it: (batch, m, width) to the same."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mlp = CrossAttention(width, heads), FeedForward(width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.norm1(x), mask=mask)
        return x + self.mlp(self.norm2(x))


class TextEncoder(nn.Module):
    """Tokens (batch, length) to a vector for each, (batch, 1 + length, width), and a mask of those that are there.

    Every word sees every other one (no causal mask). Before the words stands a learned vector that is always there, so that a
    row of padding alone, the empty caption, has something to be looked at too. Padding is seen by nobody.
    position: the deviation of the positions' vectors at the start; those of words have 1; from near 0, order is learned late.
    """

    def __init__(
        self, words: int, length: int, width: int = 128, blocks: int = 2, heads: int = 4, position: float = 0.02
    ):
        super().__init__()
        for name, value in (("words", words), ("length", length), ("width", width), ("heads", heads)):
            checks.whole(name, value, 1)
        self.length, self.width = length, width
        self.embedding = nn.Embedding(words, width)
        self.start = nn.Parameter(torch.zeros(width))
        self.position = nn.Parameter(torch.zeros(1 + length, width))
        for values in (self.embedding.weight, self.start, self.position):
            nn.init.normal_(values, std=checks.number("position", position, 0) if values is self.position else 1.0)
        self.blocks = nn.ModuleList(TextBlock(width, heads) for _ in range(checks.whole("blocks", blocks, 0)))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Raises ValueError for what are no rows of tokens of this length."""
        checks.indices("tokens", tokens, (None, self.length), self.embedding.num_embeddings - 1)
        mask = F.pad(tokens != 0, (1, 0), value=True)
        start = self.start.expand(len(tokens), 1, -1)
        x = torch.cat([start, self.embedding(tokens)], dim=1) + self.position
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x), mask


class SpatialTransformer(nn.Module):
    """Pixels look at each other and at words: (batch, c, h, w) to the same, with a shortcut around all of it.

    `depth` times in a row: self-attention, an MLP, cross-attention, each with a layer norm and a shortcut.
    """

    def __init__(self, c: int, groups: int, context: int, heads: int = 4, depth: int = 1):
        super().__init__()
        check_channels(groups, c=c)
        self.norm = nn.GroupNorm(groups, c, eps=1e-6)
        self.enter = nn.Conv2d(c, c, 1)
        self.layers = nn.ModuleList(PixelBlock(c, heads, context) for _ in range(checks.whole("depth", depth, 1)))
        self.leave = starts_at_zero(nn.Conv2d(c, c, 1))

    def forward(self, x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        h = self.enter(self.norm(x)).flatten(2).transpose(1, 2)
        for layer in self.layers:
            h = layer(h, context, mask)
        return x + self.leave(h.transpose(1, 2).unflatten(2, x.shape[2:]))


class PixelBlock(nn.Module):
    """One of the rounds of a SpatialTransformer: (batch, pixels, width) to the same."""

    def __init__(self, width: int, heads: int, context: int):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attention, self.mlp, self.cross = (
            CrossAttention(width, heads),
            FeedForward(width),
            CrossAttention(width, heads, context),
        )

    def forward(self, x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x + self.cross(self.norm3(x), context, mask)


def _over_heads(mask: Tensor | None) -> Tensor | None:
    """A mask (batch, m) so that it fits scores (batch, heads, n, m)."""
    return None if mask is None else mask[:, None, None, :]
