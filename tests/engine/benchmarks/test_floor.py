import torch

from engine.benchmarks.floor import _Products, floor_seconds


def test_every_product_is_seen_with_its_shapes() -> None:
    picture, kernel = torch.rand(1, 3, 8, 8), torch.rand(4, 3, 3, 3)
    left, right = torch.rand(5, 6), torch.rand(6, 7)
    seen = _Products()
    with seen:
        for _ in range(2):
            _ = left @ right
        torch.nn.functional.conv2d(picture, kernel)
        torch.nn.functional.linear(left, torch.rand(2, 6), torch.rand(2))
        _ = left + 1
    names = {str(product): times for (product, _), times in seen.calls.items()}
    assert names == {"aten.mm.default": 2, "aten.convolution.default": 1, "aten.addmm.default": 1}


def test_what_has_no_products_has_no_floor() -> None:
    assert floor_seconds(lambda: torch.rand(10).exp()) == 0
    assert floor_seconds(lambda: torch.rand(64, 64) @ torch.rand(64, 64)) > 0
