"""Train the two embeddings that come with the package, on one core: `python tools/train_embeddings.py [folder]`.

Trainings are counted in steps, so that they repeat: ours, and that of Le (2020) with its own link, network, q and
objective.
"""

import sys
from pathlib import Path

import hbm_fast as hbm
from hbm_fast.embedding.estimator import SHIPPED

NETWORKS = {
    "marbles": {"steps": 5000},
    "marbles-exp-plus-one": {
        "steps": 2000,
        "link": "exp_plus_one",
        "q": "diagonal",
        "objective": "elbo",
        "activation": "relu",
        "skip": False,
        "learning_rate": 2e-3,
    },
}

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    for name, settings in NETWORKS.items():
        embedding = hbm.embedding.train(2, 2, rng=0, **settings)
        embedding.save(folder / f"{name}.safetensors", state=False)
        print(name, embedding, embedding.training)
