"""
The compiled kernels of hbm_fast; its public face is the package.
"""
from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing
__all__: list[str] = ['AlphaPrior', 'BetaPrior', 'IntegerSource', 'SufficientStatistics', 'compiler', 'dirichlet', 'draw_log_theta', 'draw_predictive_counts', 'exceedance_counts', 'group_log_pmf', 'isa_level', 'log_dirichlet_row_address', 'log_pmf', 'log_pmf_gradient', 'log_pmf_group_address', 'log_pmf_rows_address', 'logit_density', 'mixture_draws', 'mixture_log_density', 'modes', 'multinomial', 'multinomial_row_address', 'normal_tails', 'sample', 'simulate', 'sparse_log_pmf', 'stream_version', 'table_log_likelihood', 'version', 'whole_weights']
class SufficientStatistics:
    def __copy__(self) -> SufficientStatistics:
        """
        Statistics of the same groups, to which groups can be added apart.
        """
    def __getstate__(self) -> tuple:
        ...
    def __init__(self, n_categories: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    def __setstate__(self, arg0: tuple) -> None:
        ...
    def add(self, counts: numpy.ndarray, weights: numpy.typing.NDArray[numpy.float64] | None = None) -> None:
        ...
    @typing.overload
    def add_sparse(self, values: numpy.ndarray, columns: numpy.typing.NDArray[numpy.int32], offsets: numpy.typing.NDArray[numpy.int32], weights: numpy.typing.NDArray[numpy.float64] | None = None) -> None:
        ...
    @typing.overload
    def add_sparse(self, values: numpy.ndarray, columns: numpy.typing.NDArray[numpy.int64], offsets: numpy.typing.NDArray[numpy.int64], weights: numpy.typing.NDArray[numpy.float64] | None = None) -> None:
        ...
    def has_table(self, column: typing.SupportsInt | typing.SupportsIndex) -> bool:
        """
        Whether a category (K: the totals) is evaluated over its table; else over pairs.
        """
    def hessian(self, concentration: numpy.typing.NDArray[numpy.float64], diagonal: numpy.typing.NDArray[numpy.float64], constant: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Writes the diagonal and the constant of the Hessian diag(diagonal) + constant.
        """
    def log_likelihood(self, concentration: numpy.typing.NDArray[numpy.float64], value: numpy.typing.NDArray[numpy.float64], gradient: numpy.typing.NDArray[numpy.float64] | None, n_threads: typing.SupportsInt | typing.SupportsIndex, coefficient: bool = False) -> None:
        """
        Writes the log-likelihood, with the coefficients or without, and the gradient unless None.
        """
    def merge(self, other: SufficientStatistics) -> None:
        ...
    def pairs(self, column: typing.SupportsInt | typing.SupportsIndex) -> tuple:
        """
        The distinct counts of a category (K: the totals) and how often each occurs.
        """
    @property
    def log_coefficient(self) -> float:
        ...
    @property
    def n_categories(self) -> int:
        ...
    @property
    def n_groups(self) -> float:
        ...
class AlphaPrior:
    def __init__(self, kind: str, a: typing.SupportsFloat | typing.SupportsIndex, b: typing.SupportsFloat | typing.SupportsIndex, lower: typing.SupportsFloat | typing.SupportsIndex, upper: typing.SupportsFloat | typing.SupportsIndex) -> None:
        ...
    def log_density(self, log_alpha: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> typing.Any:
        """
        log density of log(alpha), elementwise
        """
    def log_density_slope(self, log_alpha: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> typing.Any:
        ...
class BetaPrior:
    def __init__(self, fixed: bool, values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> None:
        ...
class IntegerSource:
    @typing.overload
    def __init__(self, low: typing.SupportsInt | typing.SupportsIndex, high: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Uniform on low..high inclusive.
        """
    @typing.overload
    def __init__(self, values: numpy.typing.NDArray[numpy.int64], dataset_stride: typing.SupportsInt | typing.SupportsIndex, group_stride: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Given values, with strides in elements.
        """
def dirichlet(key: numpy.typing.NDArray[numpy.uint64], concentration: numpy.typing.NDArray[numpy.float64], out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes logs of Dirichlet variates.
    """
def draw_log_theta(log_alpha: numpy.typing.NDArray[numpy.float64], log_beta: numpy.typing.NDArray[numpy.float64], rows: numpy.typing.NDArray[numpy.int64], key: numpy.typing.NDArray[numpy.uint64], group: typing.SupportsInt | typing.SupportsIndex, datasets: numpy.typing.NDArray[numpy.uint64], out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes log theta ~ Dirichlet(alpha beta + x) of every draw.
    """
def draw_predictive_counts(log_theta: numpy.typing.NDArray[numpy.float64], totals: numpy.typing.NDArray[numpy.int64], key: numpy.typing.NDArray[numpy.uint64], group: typing.SupportsInt | typing.SupportsIndex, datasets: numpy.typing.NDArray[numpy.uint64], out: numpy.typing.NDArray[numpy.int64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes multinomial counts of every draw of theta.
    """
def exceedance_counts(counts: numpy.ndarray, out: numpy.typing.NDArray[numpy.float32], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    ...
def group_log_pmf(log_alpha: numpy.typing.NDArray[numpy.float64], log_beta: numpy.typing.NDArray[numpy.float64], rows: numpy.typing.NDArray[numpy.int64], coefficient: bool, out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes log p(x | alpha, beta) of every draw and row.
    """
def isa_level() -> str:
    """
    The instruction-set level the hot loops run at.
    """
def log_dirichlet_row_address() -> int:
    ...
def log_pmf(counts: numpy.ndarray, concentration: numpy.typing.NDArray[numpy.float64], coefficient: bool, out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes the log pmf of every row.
    """
def log_pmf_gradient(counts: numpy.ndarray, concentration: numpy.typing.NDArray[numpy.float64], coefficient: bool, out: numpy.typing.NDArray[numpy.float64], gradient: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes the log pmf of every row and its gradient.
    """
def log_pmf_group_address() -> int:
    ...
def log_pmf_rows_address() -> int:
    ...
def logit_density(tables: numpy.typing.NDArray[numpy.float64], concentration: numpy.typing.NDArray[numpy.float64], t: numpy.typing.NDArray[numpy.float64], u: numpy.typing.NDArray[numpy.float64], value: numpy.typing.NDArray[numpy.float64], slope: numpy.typing.NDArray[numpy.float64] | None, n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes log p(counts, logit beta | alpha) of two categories at points (log alpha, logit), and its slope unless None.
    """
def mixture_draws(mean: numpy.typing.NDArray[numpy.float32], lower: numpy.typing.NDArray[numpy.float32], edges: numpy.typing.NDArray[numpy.float32], spread: numpy.typing.NDArray[numpy.float32], uniform: numpy.typing.NDArray[numpy.float32], noise: numpy.typing.NDArray[numpy.float32], z: numpy.typing.NDArray[numpy.float32], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes draws z (B, S, D) of B mixtures of Gaussians, from uniform and normal numbers.
    """
def mixture_log_density(mean: numpy.typing.NDArray[numpy.float32], lower: numpy.typing.NDArray[numpy.float32], constant: numpy.typing.NDArray[numpy.float32], scale: numpy.typing.NDArray[numpy.float32], z: numpy.typing.NDArray[numpy.float32], out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes the log densities (B, S) of B mixtures of Gaussians at z (B, S, D).
    """
def modes(datasets: list, alpha: AlphaPrior, beta: BetaPrior, n_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple:
    """
    The mode of each posterior, log alpha (B,) and log beta (B, K), and the spread of log alpha by the curvature (B,).
    """
def multinomial(key: numpy.typing.NDArray[numpy.uint64], totals: numpy.typing.NDArray[numpy.int64], weights: numpy.typing.NDArray[numpy.float64], out: numpy.typing.NDArray[numpy.int64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    ...
def multinomial_row_address() -> int:
    ...
@typing.overload
def normal_tails(z: numpy.typing.NDArray[numpy.float32], lower: numpy.typing.NDArray[numpy.float64], upper: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    ...
@typing.overload
def normal_tails(z: numpy.typing.NDArray[numpy.float64], lower: numpy.typing.NDArray[numpy.float64], upper: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes the logs of Phi(z) and Phi(-z).
    """
def sample(datasets: list, alpha: AlphaPrior, beta: BetaPrior, methods: collections.abc.Sequence[str], n_draws: typing.SupportsInt | typing.SupportsIndex, n_chains: typing.SupportsInt | typing.SupportsIndex, n_warmup: typing.SupportsInt | typing.SupportsIndex, key: numpy.typing.NDArray[numpy.uint64], n_threads: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any, start: tuple[typing.Annotated[numpy.typing.ArrayLike, numpy.float64], typing.Annotated[numpy.typing.ArrayLike, numpy.float64]] | None = None) -> dict:
    """
    Draws (B, C, D) of every dataset by its method, with what each step reports, and the modes of log alpha (B,); start is log alpha (B, C), log beta (B, C, K).
    """
def simulate(key: numpy.typing.NDArray[numpy.uint64], first: typing.SupportsInt | typing.SupportsIndex, alpha: AlphaPrior, beta: BetaPrior, alpha_given: bool, beta_given: bool, n_groups: IntegerSource, totals: IntegerSource, max_groups: typing.SupportsInt | typing.SupportsIndex, log_alpha: numpy.typing.NDArray[numpy.float64], log_beta: numpy.typing.NDArray[numpy.float64], alpha_out: numpy.typing.NDArray[numpy.float64], beta_out: numpy.typing.NDArray[numpy.float64], n_groups_out: numpy.typing.NDArray[numpy.int64], log_theta: numpy.typing.NDArray[numpy.float64] | None, theta: numpy.typing.NDArray[numpy.float64] | None, counts: numpy.ndarray | None, statistics: numpy.typing.NDArray[numpy.float32] | None, n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes datasets first, first + 1, ... into the given arrays.
    """
@typing.overload
def sparse_log_pmf(values: numpy.ndarray, columns: numpy.typing.NDArray[numpy.int32], offsets: numpy.typing.NDArray[numpy.int32], concentration: numpy.typing.NDArray[numpy.float64], coefficient: bool, out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes the log pmf of every row of CSR counts; concentration is (1, K) or (N, K).
    """
@typing.overload
def sparse_log_pmf(values: numpy.ndarray, columns: numpy.typing.NDArray[numpy.int64], offsets: numpy.typing.NDArray[numpy.int64], concentration: numpy.typing.NDArray[numpy.float64], coefficient: bool, out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    ...
def table_log_likelihood(tables: numpy.typing.NDArray[numpy.float32], log_alpha: numpy.typing.NDArray[numpy.float64], log_beta: numpy.typing.NDArray[numpy.float64], out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes the collapsed log-likelihood (no coefficient) of B exceedance tables at S concentrations each.
    """
def whole_weights(statistics: SufficientStatistics) -> bool:
    """
    Whether every group counts a whole number of times.
    """
compiler: str
stream_version: int = 1
version: str
