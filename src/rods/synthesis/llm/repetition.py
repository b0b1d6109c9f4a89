"""Text that goes round in a circle."""

from __future__ import annotations

from collections import Counter

TAIL = 1_200  # characters at the end that are looked at
ROUNDS = 4  # times that the same must stand there
LINES = 8  # times that one line must stand among the last ones, and make up half of them


def repeating(text: str) -> bool:
    """Whether the end says the same over and over: a piece, or one line among others."""
    tail = text[-TAIL:].rstrip("\r\n")
    if len(tail) >= TAIL // 2 and ROUNDS * period(tail) <= len(tail):
        return True
    lines = [line.strip() for line in tail.replace("\\n", "\n").splitlines()]
    found = Counter(line for line in lines if len(line) > 3).most_common(1)
    return bool(found) and found[0][1] >= max(LINES, len(lines) // 2)


def period(text: str) -> int:
    """The least distance at which the end of the text repeats itself as far as it goes back.

    In linear time: the text is read backwards, and of each beginning the longest border is kept.
    """
    back = text[::-1]
    border = [0] * len(back)
    for at in range(1, len(back)):
        length = border[at - 1]
        while length and back[at] != back[length]:
            length = border[length - 1]
        border[at] = length + (back[at] == back[length])
    return len(back) - (border[-1] if back else 0)
