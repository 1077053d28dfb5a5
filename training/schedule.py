"""What happens at which step."""

import math

from training.config import TrainConfig


def learning_rate(step: int, config: TrainConfig) -> float:
    """The rate of a step from 1: a linear warm-up, then flat or half a cosine down to 0 after the last step."""
    rising = round(config.warmup * config.steps)
    if step <= rising:
        return config.learning_rate * step / (rising + 1)
    if config.schedule == "flat":
        return config.learning_rate
    share = (step - rising) / (config.steps - rising + 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def validation_period(config: TrainConfig, images: int = 0) -> int:
    """Steps between two validations, for so many training images; 0: their number is not known."""
    if config.validate_every:
        return config.validate_every
    epoch = math.ceil(images / config.batch_size)
    return max(epoch, math.ceil(config.steps / config.max_validations))
