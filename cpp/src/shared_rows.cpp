#include "shared_rows.hpp"

#include <limits>

#include "hbm_fast/special.hpp"

namespace hbm_fast {
namespace {

constexpr std::size_t narrowest = 16;  // counts from here on suit log_choose_known
constexpr std::size_t widest = 256;
constexpr double table_elements = 32768.0;  // a table that stays in the second-level cache

}  // namespace

SharedConcentration::SharedConcentration(const double* a_in, std::ptrdiff_t a_stride, std::size_t n_categories, std::size_t n_rows,
                                         double n_positive, bool with_coefficient)
    : coefficient(with_coefficient), a(n_categories), log_gamma(n_categories), sum(RowBlocks::sum_of(a_in, a_stride, n_categories).sum) {
  const LikelihoodKernels& kernels = likelihood_kernels();
  const double* const inverses = Factorials::get().inverses();
  for (std::size_t k = 0; k < n_categories; ++k) a[k] = a_in[static_cast<std::ptrdiff_t>(k) * a_stride];
  width = narrowest;
  const double pays = std::min(n_positive / 8.0, table_elements);
  while (2 * width <= widest && static_cast<double>(2 * width * n_categories) <= pays) width *= 2;
  const std::size_t n_totals = std::max(width, std::min<std::size_t>(4096, n_rows / 4));
  table.assign(n_categories * width, 0.0);
  of_totals.assign(n_totals, 0.0);

  std::vector<double> counts(n_totals), repeated(n_totals);
  for (std::size_t x = 0; x < n_totals; ++x) counts[x] = static_cast<double>(x);
  // entry 0 stays 0: no count, no factor
  const auto fill = [&](double concentration, std::size_t n, double* out) {
    if (!(concentration >= smallest_vector_concentration && concentration <= largest_vector_concentration)) {
      std::fill(out + 1, out + n, std::numeric_limits<double>::quiet_NaN());  // such rows are done with care
      return;
    }
    std::fill_n(repeated.begin(), n, concentration);
    if (coefficient) {
      kernels.log_choose(repeated.data() + 1, counts.data() + 1, n - 1, inverses, out + 1);
    } else {
      kernels.log_rising(repeated.data() + 1, counts.data() + 1, n - 1, out + 1);
    }
  };
  for (std::size_t k = 0; k < n_categories; ++k) fill(a[k], width, table.data() + k * width);
  fill(sum, n_totals, of_totals.data());
  kernels.log_gamma(a.data(), n_categories, log_gamma.data());
}

SharedRows::SharedRows(const SharedConcentration& shared, double* out)
    : shared_(shared), out_(out), kernels_(likelihood_kernels()), factorials_(Factorials::get()) {
  const std::size_t size = std::max(RowBlocks::block_elements, shared.a.size()) + shared.a.size() + 1;
  counts_.resize(size);
  concentration_.resize(size);
  log_gamma_.resize(size);
  terms_.resize(size);
  category_.resize(size);
  where_.resize(shared.a.size() + 1);
  value_.resize(shared.a.size() + 1);
}

bool SharedRows::close(std::size_t row, const Partial& p) {
  if ((p.any >> 32) != 0 || p.total > largest_row_total) return false;  // sums of smaller ones do not wrap
  if (!(p.absolute <= std::numeric_limits<double>::max() && shared_.sum <= largest_vector_concentration)) return false;
  for (std::size_t i = n_; i < n_ + p.n; ++i) {
    const std::size_t k = category_[i];
    const double a = shared_.a[k];
    if (!(a >= smallest_vector_concentration)) return false;
    concentration_[i] = a;
    log_gamma_[i] = a <= counts_[i] + 1.0 ? shared_.log_gamma[k] : factorials_.log_factorial(counts_[i]);
  }
  if (p.n == 0 && p.total < shared_.of_totals.size()) {
    const double of_total = shared_.of_totals[p.total];
    const double value = p.terms - of_total;
    const auto n_terms = static_cast<double>(std::min<std::uint64_t>(p.total, shared_.a.size()) + 1);
    if (p.total > 0 && !is_exact(value, p.absolute + std::abs(of_total), n_terms)) return false;
    out_[row] = value;
    return true;
  }
  first_[rows_] = n_;
  row_[rows_] = row;
  total_[rows_] = static_cast<double>(p.total);
  sum_[rows_] = shared_.sum;
  terms_of_row_[rows_] = p.terms;
  absolute_[rows_] = p.absolute;
  ++rows_;
  n_ += p.n;
  return true;
}

void SharedRows::evaluate() {
  first_[rows_] = n_;
  double of_totals[lanes];
  kernels_.log_choose_known(concentration_.data(), counts_.data(), log_gamma_.data(), n_, terms_.data());
  kernels_.log_choose(sum_, total_, rows_, factorials_.inverses(), of_totals);
  for (std::size_t r = 0; r < rows_; ++r) {
    double terms = terms_of_row_[r];
    double absolute = absolute_[r];
    double of_total = of_totals[r];
    if (!shared_.coefficient) {
      of_total += factorials_.log_factorial(total_[r]);
      for (std::size_t i = first_[r]; i < first_[r + 1]; ++i) terms_[i] += factorials_.log_factorial(counts_[i]);
    }
    for (std::size_t i = first_[r]; i < first_[r + 1]; ++i) {
      terms += terms_[i];
      absolute += std::abs(terms_[i]);
    }
    const double value = terms - of_total;
    out_[row_[r]] = value;
    const double n_terms = std::min(total_[r], static_cast<double>(shared_.a.size())) + 1.0;
    if (!is_exact(value, absolute + std::abs(of_total), n_terms)) refused_.push_back(row_[r]);
  }
  n_ = rows_ = 0;
}

}  // namespace hbm_fast
