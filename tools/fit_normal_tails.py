"""Print the polynomial of cpp/math/normal_tails.isa-v3.cpp.

With the upper tail Q(x) = exp(-x^2 / 2) R(x), (x + 2) R(x) is smooth and between 0.39 and 1 on [0, 37.5]; in
u = 2 w - 1, w = x (37.5 + 5) / ((x + 5) 37.5), its Chebyshev series falls below 1e-16 at degree 22. (Needs mpmath.)
"""

import mpmath as mp

DEGREE, NODES = 22, 60


def main() -> None:
    mp.mp.dps = 50
    largest, pole = mp.mpf("37.5"), mp.mpf(5)

    def scaled(u: mp.mpf) -> mp.mpf:
        w = (u + 1) / 2 * largest / (largest + pole)
        x = pole * w / (1 - w)
        return mp.erfc(x / mp.sqrt(2)) / 2 * mp.exp(x * x / 2) * (x + 2)

    angles = [mp.pi * (k + mp.mpf(1) / 2) / NODES for k in range(NODES)]
    values = [scaled(mp.cos(angle)) for angle in angles]
    series = [
        2 * mp.fsum(v * mp.cos(n * angle) for v, angle in zip(values, angles, strict=True)) / NODES
        for n in range(DEGREE + 1)
    ]
    series[0] /= 2
    # Chebyshev to powers of u, by the recurrence of the polynomials themselves
    powers = [mp.mpf(0)] * (DEGREE + 1)
    before, here = [mp.mpf(1)], [mp.mpf(0), mp.mpf(1)]
    for n, coefficient in enumerate(series):
        polynomial = before if n == 0 else here
        for i, c in enumerate(polynomial):
            powers[i] += coefficient * c
        if n > 0:
            following = [mp.mpf(0)] + [2 * c for c in here]
            for i, c in enumerate(before):
                following[i] -= c
            before, here = here, following
    print(",\n".join(float(c).hex() for c in powers))


if __name__ == "__main__":
    main()
