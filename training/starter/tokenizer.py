"""The starter's WordPiece tokenizer: words it knows whole, letters for all others."""

import string
from collections.abc import Iterable

from transformers import BertTokenizer

from training.starter.words import GENERAL, JOINERS, LOOKS, everyday_words
from training.worlds.concepts import CONCEPTS, SHAPES
from training.worlds.nouns import TOLD_CONCEPTS, plural

# transformers' grounding detectors find the ends of phrases by these very ids, as BERT's own vocabulary has them.
FIXED_IDS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
_LAST_FIXED = 1029


def build_tokenizer() -> BertTokenizer:
    """Lower-cases and strips accents; every word of letters and digits becomes pieces, never [UNK]."""
    characters = string.ascii_lowercase + string.digits
    signs = sorted(set(string.punctuation) - set(FIXED_IDS))
    vocabulary = _placed([*characters, *("##" + each for each in characters), *signs, *known_words()])
    return BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=256)


def known_words() -> list[str]:
    """The words with a token of their own, sorted: those of the concepts' names, and common ones."""
    names = [name for concept in CONCEPTS for name in (concept.name, *concept.synonyms)]
    names += [plural(noun) for noun in (*SHAPES, *(CONCEPTS[index].noun for index in TOLD_CONCEPTS))]
    words = {word for name in names for word in name.split()}
    words.update(SHAPES, LOOKS, JOINERS, GENERAL, everyday_words())
    return sorted(word for word in words if len(word) > 1)


def _placed(tokens: Iterable[str]) -> dict[str, int]:
    """Token -> id with the fixed ones in their places and nothing left out between."""
    taken = {index: token for token, index in FIXED_IDS.items()}
    index = 1
    for token in tokens:
        while index in taken:
            index += 1
        taken[index] = token
    for unused in range(_LAST_FIXED + 1):
        taken.setdefault(unused, f"[unused{unused}]")
    return {token: index for index, token in sorted(taken.items())}
