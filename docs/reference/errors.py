"""What ends the making of the site."""


class UndescribedError(Exception):
    """Something that the reference lists has no description."""
