"""Captions as rows of word numbers: the vocabulary of a captioned data set (lesson 11b)."""

import difflib
import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from course_lib import checks

PAD = 0  # stands where a caption has ended


class Vocabulary:
    """The words that captions are made of, and the length of a row. Word i has the number i + 1; 0 is the padding.

    Raises ValueError for a word that stands twice, or is none: lower case, without spaces.
    """

    def __init__(self, words: Sequence[str], length: int = 12):
        if isinstance(words, str) or not isinstance(words, Sequence):
            raise ValueError(f"words must be a list of words; got {checks.shown(words)}")
        self.words = tuple(words)
        self.length = checks.whole("length", length, 1)
        for word in self.words:
            if not isinstance(word, str) or words_of(word) != [word]:
                raise ValueError(f"each word must be one word in lower case; got {checks.shown(word)}")
        if len(self._number) < len(self.words):
            raise ValueError("a word stands twice in the vocabulary")

    def __len__(self) -> int:
        """How many numbers a token can have, with the padding."""
        return 1 + len(self.words)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words, start=1)}

    def encode(self, captions: str | Sequence[str]) -> Tensor:
        """Captions to tokens, (n, length) int64, padded with 0; one caption to (1, length).

        Case and punctuation don't matter. Raises ValueError for a word that the vocabulary lacks, with the nearest ones
        that it has, and for a caption that is empty or too long.
        """
        captions = [captions] if isinstance(captions, str) else captions
        if not isinstance(captions, Sequence) or not all(isinstance(caption, str) for caption in captions):
            raise ValueError(f"captions must be a text or a list of texts; got {checks.shown(captions)}")
        rows = torch.full((len(captions), self.length), PAD)
        for row, caption in zip(rows, captions, strict=True):
            words = words_of(caption)
            if not 1 <= len(words) <= self.length:
                raise ValueError(
                    f"a caption must have 1 to {self.length} words; got {len(words)} in {checks.shown(caption)}"
                )
            row[: len(words)] = torch.tensor([self._number_of(word) for word in words])
        return rows

    def decode(self, tokens: Tensor) -> list[str]:
        """Tokens (n, length) to captions, without the padding. Raises ValueError for what is no row of word numbers."""
        checks.indices("tokens", tokens, (None, None), len(self) - 1)
        return [" ".join(self.words[i - 1] for i in row if i != PAD) for row in tokens.tolist()]

    def _number_of(self, word: str) -> int:
        if word in self._number:
            return self._number[word]
        near = difflib.get_close_matches(word, self.words, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {len(self.words):,} others"
        raise ValueError(f"no caption that the model has seen has the word {word!r}: {hint}")


def words_of(caption: str) -> list[str]:
    """The words of a text: lower case, without accents and punctuation; a hyphen holds a word together."""
    if not isinstance(caption, str):
        raise ValueError(f"a caption must be a text; got {checks.shown(caption)}")
    plain = unicodedata.normalize("NFKD", caption.replace("&", " and ").replace("’", "'").lower())
    return re.findall(r"[a-z0-9#*]+(?:[-'][a-z0-9]+)*", plain.encode("ascii", "ignore").decode())
