"""What can go wrong in teaching a detector; every text says what, the value and what to do next."""


class TrainingError(Exception):
    """Base of this package's errors."""


class ConfigRefused(TrainingError, ValueError):
    """A training setting is unknown or out of range; the text lists every fault."""


class NothingToTrain(TrainingError, ValueError):
    """The dataset holds no annotation to learn from, or only in splits that are not trained on."""


class TrainingDiverged(TrainingError):
    """The loss or its gradient is no longer a number."""


class StateRefused(TrainingError, ValueError):
    """A saved training state does not fit the detector or the settings."""


class JobRefused(TrainingError, ValueError):
    """A training run can't start: its name is taken, or it runs already."""


class StateNotSaved(TrainingError):
    """A training state could not be written; the one before it is untouched."""


class CheckpointNotSaved(TrainingError):
    """A taught detector could not be written; the run can be resumed to try again."""


class AdapterRefused(TrainingError, ValueError):
    """A low-rank adapter is absent, broken or another detector's."""


class PeerFailed(TrainingError):
    """Another process of the same training failed; the text is its reason."""


class LayoutRefused(TrainingError, ValueError):
    """A benchmark's file is not of the layout it was named as; the text says at which place."""
