"""Exact posteriors of partitions: every partition enumerated, each block by two-dimensional quadrature.

Models: K = 2, each component alpha ~ Exponential(1), beta ~ Dirichlet(1, 1).
"""

# Dirichlet process with concentration 1: P(number of components) and co-assignment of some pairs
OPEN = {
    "pure and mixed": {
        "bags": [[10, 0]] * 3 + [[0, 10]] * 3 + [[5, 5]] * 2,
        "log_evidence": -14.771991090684256,
        "n_components": [0.043363, 0.226161, 0.358750, 0.256345, 0.094703, 0.018726, 0.001877, 0.000075],
        "together": {(0, 1): 0.539281, (0, 3): 0.303333, (0, 6): 0.341270, (6, 7): 0.489756},
    },
    "all alike": {
        "bags": [[10, 10]] * 6,
        "log_evidence": -21.22199390190503,
        "n_components": [0.589080, 0.313658, 0.083114, 0.012970, 0.001135, 0.000043],
        "together": {(0, 1): 0.805481},
    },
}

# J components, weights ~ Dirichlet(1, ..., 1): log evidence
FINITE = {
    "pure and mixed": {
        "bags": [[12, 0], [0, 11], [13, 1], [0, 9], [10, 0], [5, 6], [6, 6], [7, 5], [4, 6], [5, 5]],
        "log_evidence": {1: -26.066379348770226, 2: -25.628251036591156, 3: -25.437867468673964},
    },
    "two proportions": {
        "bags": [[9, 1], [11, 2], [10, 1], [12, 3], [9, 2], [2, 10], [1, 9], [3, 11], [2, 9], [1, 12]],
        "log_evidence": {1: -28.164413898800788, 2: -28.69690817267689, 3: -29.086544835022906},
    },
}


def partitions(n):
    """Every partition of n groups, as labels in the order of their first group."""

    def extend(labels):
        if len(labels) == n:
            yield labels
            return
        for j in range(max(labels, default=-1) + 2):
            yield from extend([*labels, j])

    return list(extend([]))
