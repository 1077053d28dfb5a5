"""What the annotation store refuses, each in one line that says what to do next."""


class AnnotationsError(Exception):
    """Base of every error this package raises on purpose."""


class NotFound(AnnotationsError):
    """A dataset, image, category, run or checkpoint that is not in the database."""


class EditRefused(AnnotationsError, ValueError):
    """A change that would break a rule; nothing of it was done."""


class ImportRefused(AnnotationsError, ValueError):
    """A file or folder that cannot be imported at all; single bad entries are skipped instead."""


class ExportRefused(AnnotationsError, ValueError):
    """An export that would overwrite something or could not be read back."""


class DatabaseRefused(AnnotationsError):
    """A database that cannot be opened or written safely."""
