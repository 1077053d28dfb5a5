"""A helper in training only: says from the embedding alone where one thing ends and the next begins."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Rows down and columns right, in cells of a mask's logits: which neighbour may belong to something else.
_NEIGHBOURS = ((0, 1), (1, 0), (0, 3), (3, 0), (2, 2), (2, -2), (0, 7), (7, 0))
_CELLS = 4  # of the logits a side, for each cell of the embedding
_DIFFERENT = 3.0  # weight of neighbours that belong to something else, which are rare


class EdgeHead(nn.Module):
    """Answers for every place at once, where prompts ask for a few things: the encoder learns edges much faster."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.answers = nn.Linear(width, _CELLS**2 * (len(_NEIGHBOURS) + 1))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits (B, K, m, m) of (B, C, h, w), m = 4 h: is this neighbour another's, and last: is here a thing."""
        answers = self.answers(embeddings.permute(0, 2, 3, 1))  # (B, h, w, 16 K)
        return F.pixel_shuffle(answers.permute(0, 3, 1, 2), _CELLS)


def edge_loss(logits: Tensor, owners: Tensor) -> Tensor:
    """Cross-entropy of the answers, neighbours outside the picture left out.

    Args:
        logits: (B, K, m, m), as `EdgeHead` gives them.
        owners: (B, m, m) long, whose each cell is, 0 for nobody's.
    """
    side = owners.shape[-1]
    terms = []
    for channel, (down, right) in enumerate(_NEIGHBOURS):
        left = max(-right, 0)
        here = owners[:, : side - down, left : side - max(right, 0)]
        there = owners[:, down:, left + right : side + min(right, 0)]
        different = (here != there).float()
        answers = logits[:, channel, : side - down, left : side - max(right, 0)].float()
        entropy = F.binary_cross_entropy_with_logits(answers, different, reduction="none")
        weight = 1 + (_DIFFERENT - 1) * different
        terms.append((weight * entropy).sum() / weight.sum())
    terms.append(F.binary_cross_entropy_with_logits(logits[:, -1].float(), (owners > 0).float()))
    return torch.stack(terms).mean()
