"""Files as a bad disk or a broken transfer leaves them."""

import numpy as np


def damaged(whole, rng):
    """Damage: cut off, bits flipped, overwritten, zeroed, or a part repeated."""
    content = bytearray(whole)
    kind = rng.integers(6)
    at = int(rng.integers(len(content)))
    if kind == 0:
        del content[at:]
    elif kind == 1:
        for _ in range(rng.integers(1, 4)):
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    elif kind == 2:
        content[at : at + rng.integers(1, 64)] = rng.bytes(rng.integers(1, 64))
    elif kind == 3:
        n = min(int(rng.integers(1, 600)), len(content) - at)
        content[at : at + n] = bytes(n)
    elif kind == 4:
        for _ in range(rng.integers(1, 40)):
            content[rng.integers(len(content))] = rng.integers(256)
    else:
        first, last = sorted(rng.integers(len(content), size=2))
        content[at:at] = content[first:last]
    return bytes(content)


def read_damaged(file, read, seed, times=500):
    """What ``read(file)`` returns where it does not refuse one of many damages; each refusal names the file."""
    whole, rng = file.read_bytes(), np.random.default_rng(seed)
    refused = 0
    for _ in range(times):
        file.write_bytes(damaged(whole, rng))
        try:
            found = read(file)
        except (ValueError, TypeError) as error:
            assert str(file) in str(error)  # noqa: PT017
            refused += 1
        else:
            yield found
    assert refused > times / 2
