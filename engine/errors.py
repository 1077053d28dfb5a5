"""What the engine refuses, each with one line that says what to do next."""

_LONGEST_QUOTE = 60  # characters of a user's text that an error line repeats


class EngineError(Exception):
    """Anything the engine cannot do; the text is one line fit for a person."""


class PromptError(EngineError, ValueError):
    """A prompt, category or caption that no detector can read."""


class WeightsMissing(EngineError):
    """A checkpoint, or its weights, is not on this machine."""


class CheckpointRefused(EngineError):
    """A checkpoint that is broken, of an unknown kind, or could run code."""


def quoted(text: str) -> str:
    """`text` in quotes on one line, cut to 60 characters, for an error message."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return repr(line if len(line) <= _LONGEST_QUOTE else line[: _LONGEST_QUOTE - 1] + "…")
