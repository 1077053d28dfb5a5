import pytest
import torch

from training.segmenter.loss import MaskLossWeights, mask_ious, mask_losses


def square() -> torch.Tensor:
    truth = torch.zeros(1, 1, 16, 16)
    truth[..., 4:8, 4:8] = 1
    return truth


def test_the_true_mask_costs_next_to_nothing() -> None:
    logits = (square() * 2 - 1)[:, :, None] * 20
    losses = mask_losses(logits, torch.ones(1, 1, 1), square(), MaskLossWeights())
    assert all(value.item() < 1e-4 for value in losses.values())


def test_of_three_masks_the_nearest_learns_its_shape() -> None:
    good = (square() * 2 - 1)[:, :, None]
    logits = torch.cat([-good, good, torch.zeros_like(good)], 2).requires_grad_()
    losses = mask_losses(logits, torch.zeros(1, 1, 3), square(), MaskLossWeights())
    torch.autograd.backward(losses["cells"] + losses["dice"])
    assert logits.grad is not None
    assert logits.grad[:, :, 1].abs().sum() > 0
    assert logits.grad[:, :, [0, 2]].abs().sum() == 0


def test_cells_far_away_count_little() -> None:
    near, far = ((square() * 2 - 1)[:, :, None] * 4 for _ in range(2))
    near[..., 6, 3] = 4.0  # one wrong cell beside the thing
    far[..., 15, 15] = 4.0
    costs = [
        mask_losses(logits, torch.ones(1, 1, 1), square(), MaskLossWeights())["cells"].item() for logits in (near, far)
    ]
    assert costs[0] > 3 * costs[1]


def test_iou_is_shared_over_all() -> None:
    found, truth = torch.zeros(2, 4, 4, dtype=torch.bool), torch.zeros(2, 4, 4, dtype=torch.bool)
    found[0, :2], truth[0, 1:3] = True, True  # 4 cells shared of 12
    assert mask_ious(found, truth).tolist() == pytest.approx([1 / 3, 0])
