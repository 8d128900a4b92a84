"""One loader for each count table. SOURCES.md in this folder lists the source of each."""

import numpy as np

from hbm_fast.datasets._dataset import Dataset, integers, read_rows


def load_rat_tumors() -> Dataset:
    """Tumors of control rats in 71 experiments; columns (tumor, no tumor).

    The first 70 rows are the historical experiments, the last one (4 of 14) is the current one.

    Returns
    -------
    Dataset
        ``counts`` (71, 2).

    Raises
    ------
    OSError
        If the installed package lacks the file.

    References
    ----------
    Tarone (1982), Biometrics 38:215, doi:10.2307/2530304; Gelman et al., Bayesian Data Analysis (2013), Table 5.1.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.datasets.load_rat_tumors().counts[-1].tolist()
    [4, 10]
    """
    _, rows = read_rows("rat_tumors.csv")
    tumours, rats = integers(rows, 1).T
    return Dataset(
        name="rat tumors",
        counts=np.ascontiguousarray(np.column_stack([tumours, rats - tumours])),
        group_names=tuple(f"experiment {row[0]}" for row in rows),
        category_names=("tumor", "no tumor"),
        source="Tarone 1982; Gelman et al., Bayesian Data Analysis, Table 5.1; from pymc-examples",
        licence="facts (carriers Apache-2.0 and BSD-3-Clause)",
        description="A row is an experiment, a count the number of female control rats (type F344) with or without "
        "endometrial stromal polyps.",
    )


def load_marbles() -> Dataset:
    """Bags of marbles: ten of 20 white ones, ten of 20 black ones, and a new bag with one black marble drawn.

    The example of Le (2020), after Kemp, Perfors and Tenenbaum (2007): what colour is the next marble of the new bag?

    Returns
    -------
    Dataset
        ``counts`` (21, 2).

    References
    ----------
    Kemp, Perfors and Tenenbaum (2007), Developmental Science 10:307, doi:10.1111/j.1467-7687.2007.00585.x.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.datasets.load_marbles().counts[[0, 10, 20]].tolist()
    [[20, 0], [0, 20], [0, 1]]
    """
    return Dataset(
        name="marbles",
        counts=np.array([[20, 0]] * 10 + [[0, 20]] * 10 + [[0, 1]], dtype=np.int64),
        group_names=tuple(f"bag {n}" for n in range(1, 22)),
        category_names=("white", "black"),
        source="Le (2020), Learning and amortized inference in hierarchical Bayesian models",
        licence="facts",
        description="A row is a bag, a count the number of marbles of a colour drawn from it.",
    )


def load_pollen() -> Dataset:
    """Mosimann's forest pollen: 100 grains in each of 73 samples of a core; Pinus, Abies, Quercus, Alnus.

    Returns
    -------
    Dataset
        ``counts`` (73, 4).

    Raises
    ------
    OSError
        If the installed package lacks the file.

    References
    ----------
    Mosimann (1962), Biometrika 49:65, doi:10.1093/biomet/49.1-2.65.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.datasets.load_pollen().category_names
    ('Pinus', 'Abies', 'Quercus', 'Alnus')
    """
    header, rows = read_rows("pollen.csv")
    return Dataset(
        name="pollen",
        counts=integers(rows),
        group_names=tuple(f"sample {n}" for n in range(1, len(rows) + 1)),
        category_names=tuple(header),
        source="Mosimann 1962, Biometrika 49:65; from the R package MM",
        licence="facts",
        description="A row is a sample of a core (depth in the ground stands for age), a count the number of pollen "
        "grains of a genus of trees among 100.",
    )


def load_saxony_families() -> Dataset:
    """Boys and girls in 6,115 Saxon families of 12 children: a frequency table of 13 rows.

    Returns
    -------
    Dataset
        ``counts`` (13, 2), columns (boys, girls); ``weights`` (13,), the number of families.

    Raises
    ------
    OSError
        If the installed package lacks the file.

    References
    ----------
    Geissler (1889); Sokal & Rohlf, Biometry; Lindsey (1995), Modelling Frequency and Count Data.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> int(hbm.datasets.load_saxony_families().weights.sum())
    6115
    """
    _, rows = read_rows("saxony_families.csv")
    boys, families = integers(rows).T
    return Dataset(
        name="Saxony families",
        counts=np.ascontiguousarray(np.column_stack([boys, 12 - boys])),
        group_names=tuple(f"{n} boys" for n in boys),
        category_names=("boys", "girls"),
        source="Geissler 1889; Sokal & Rohlf, Biometry; Lindsey 1995; from pydataset",
        licence="facts (carrier MIT)",
        description="A row is a kind of family of 12 children, Saxony 1876-1885, a weight the number of such families.",
        weights=np.ascontiguousarray(families),
    )


def load_twins() -> Dataset:
    """Reads of 130 genera of bacteria in the gut of 278 twins and their mothers.

    Returns
    -------
    Dataset
        ``counts`` (278, 130); ``labels`` (278,): ``"Lean"``, ``"Overwt"`` or ``"Obese"``.

    Raises
    ------
    OSError
        If the installed package lacks the file.

    References
    ----------
    Turnbaugh et al. (2009), Nature 457:480, doi:10.1038/nature07540; Holmes, Harris & Quince (2012), PLoS ONE
    7:e30126, doi:10.1371/journal.pone.0030126.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> twins = hbm.datasets.load_twins()
    >>> int(twins.counts.sum()), twins.labels.count("Obese")
    (570851, 193)
    """
    header, rows = read_rows("twins.csv")
    _, phenotypes = read_rows("twins_phenotype.csv")
    names = tuple(row[0] for row in rows)
    phenotype = dict(phenotypes)
    return Dataset(
        name="twins",
        counts=integers(rows, 1),
        group_names=names,
        category_names=tuple(header[1:]),
        source="Turnbaugh et al. 2009; Holmes, Harris & Quince 2012; from the Bioconductor package "
        "DirichletMultinomial",
        licence="CC-BY (PLoS ONE 7:e30126); carrier LGPL-3",
        description="A row is a stool sample, a column a genus, a count the number of sequenced reads; labels are the "
        "weight class of the donor.",
        labels=tuple(phenotype[name] for name in names),
    )
