"""Memory for large buffers stays with the process (glibc)."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST = 32 * 2**20
"""Bytes; the most that glibc takes."""


def keep_buffers() -> None:
    """Have malloc keep what a batch's buffers used for the next batch's; elsewhere than on glibc nothing happens.

    By itself it gives back all above 128 kB at once. A batch of 32 purchases goes to Postgres in such buffers, and
    pages that come anew each time cost three times what it takes to fill them.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, 2 * _LARGEST)
