"""Errors whose text is meant for the person at the terminal: what, where, why, and what to do."""


class SurfposeError(Exception):
    """Bad input or a missing part, said in one line; the command line prints it and exits with 1."""


class MissingExtraError(SurfposeError):
    """An optional package is not installed.

    Example:
        >>> str(MissingExtraError("pycolmap", extra="sfm", purpose="poses by structure from motion"))
        'poses by structure from motion needs pycolmap: pip install "surfpose_ros[sfm]"'
    """

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(f'{purpose} needs {package}: pip install "surfpose_ros[{extra}]"')
