#include "statistics/sufficient_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "core/limits.hpp"
#include "likelihood/exact.hpp"
#include "likelihood/kernels.hpp"
#include "math/special.hpp"
#include "math/sum.hpp"

namespace hbm_fast {
namespace {

constexpr std::size_t widest = 4096;                          // values below are tallied by plain increments
constexpr std::size_t tally_elements = std::size_t{1} << 22;  // 32 MB

template <class T>
std::uint64_t checked(T x) {
  if constexpr (std::is_signed_v<T>) {
    if (x < 0) throw std::invalid_argument("counts must not be negative");
  }
  return static_cast<std::uint64_t>(x);
}

std::uint64_t checked_total(std::uint64_t total, std::uint64_t x) {
  if (x > largest_statistics_total || total + x > largest_statistics_total) {
    throw std::invalid_argument(
        "a total of counts exceeds 2**40, the largest that sufficient statistics (and what is built on them: fit, "
        "sample, exact_posterior) take; log_likelihood takes totals up to 2**53");
  }
  return total + x;
}

double checked_weight(const double* weights, std::size_t n) {
  if (weights == nullptr) return 1.0;
  if (!(weights[n] >= 0.0 && std::isfinite(weights[n])))
    throw std::invalid_argument("weights must be non-negative and finite");
  return weights[n];
}

// The columns that one call of add builds, so that nothing is added when a row turns out to be wrong. Small values
// are tallied in one table of (K + 1) x width, whose width grows when a block of rows needs it.
class Tallies {
 public:
  explicit Tallies(std::size_t n_categories) : n_categories_(n_categories), columns(n_categories) {}

  // Whether values up to `largest` (and totals of them) can be tallied by increments.
  bool reach(std::uint64_t largest) {
    if (largest < width_) return true;
    std::size_t width = std::max<std::size_t>(width_, 16);
    while (width <= largest) width *= 2;
    if (width > widest || width * (n_categories_ + 1) > tally_elements) return false;
    flush();
    width_ = width;
    tallies_.assign((n_categories_ + 1) * width, 0);
    return true;
  }

  template <class T>
  void count(const TypedCounts<T>& table, std::size_t begin, std::size_t end) {
    const std::size_t width = width_;
    std::uint64_t* const of_totals = tallies_.data() + n_categories_ * width;
    for (std::size_t n = begin; n < end; ++n) {
      const T* x = table.row(n);
      std::uint64_t* tally = tallies_.data();
      std::size_t total = 0;
      for (std::size_t k = 0; k < n_categories_; ++k, tally += width, x += table.category_stride) {
        const auto value = static_cast<std::size_t>(*x);
        ++tally[value];
        total += value;
      }
      ++of_totals[total];
    }
  }

  void flush() {
    for (std::size_t k = 0; k <= n_categories_; ++k) {
      CountColumn& column = k < n_categories_ ? columns[k] : totals;
      for (std::size_t v = width_; v-- > 1;) column.add(v, static_cast<double>(tallies_[k * width_ + v]));
    }
    std::fill(tallies_.begin(), tallies_.end(), 0);
  }

 private:
  std::size_t n_categories_;
  std::size_t width_ = 0;
  std::vector<std::uint64_t> tallies_;

 public:
  std::vector<CountColumn> columns;
  CountColumn totals;
};

// The largest count of a block of rows; a negative one of any type is larger than all.
template <class T>
std::uint64_t largest_of(const TypedCounts<T>& table, std::size_t begin, std::size_t end) {
  using U = std::make_unsigned_t<T>;
  U largest = 0;
  if (table.category_stride == 1 && table.row_stride == static_cast<std::ptrdiff_t>(table.n_categories)) {
    const T* x = table.row(begin);
    for (std::size_t i = 0; i < (end - begin) * table.n_categories; ++i)
      largest = std::max(largest, static_cast<U>(x[i]));
  } else {
    for (std::size_t n = begin; n < end; ++n) {
      for (std::size_t k = 0; k < table.n_categories; ++k) largest = std::max(largest, static_cast<U>(table.at(n, k)));
    }
  }
  if (std::is_signed_v<T> && largest > static_cast<U>(std::numeric_limits<T>::max())) return ~std::uint64_t{0};
  return largest;
}

RisingTerms view(const CountColumn::Terms& terms) {
  return {terms.fours.data(),         terms.four_weights.data(), terms.fours.size(),          terms.firsts.data(),
          terms.first_weights.data(), terms.seconds.data(),      terms.second_weights.data(), terms.firsts.size()};
}

struct Slopes {
  double value;
  double slope;
};

// Before item i of a loop whose items take long: Ctrl-C within millions of distinct counts.
void poll_now_and_then(TimedPoll* poll, std::size_t i) {
  if (poll != nullptr && i % items_per_poll == 0) (*poll)();
}

// sum over the column of f(count): over its distinct counts, each times its weight
template <class F>
double weighted_sum(const CountColumn& column, TimedPoll* poll, const F& f) {
  const auto [values, weights] = column.value_weights();
  double sum = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    poll_now_and_then(poll, i);
    sum += weights[i] * f(values[i]);
  }
  return sum;
}

// sum over the column of log(a (a+1) ... (a+x-1)), less log(x!) where the column subtracts factorials, and its
// derivative
Slopes evaluate(const CountColumn& column, double a, TimedPoll* poll) {
  const LikelihoodKernels& kernels = likelihood_kernels();
  poll_now_and_then(poll, 0);
  if (column.empty()) return {0.0, 0.0};
  if (a == 0.0) return {-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  Slopes first{0.0, 0.0};
  if (a < smallest_concentration) {  // the factor a itself apart; what is left of it in the other factors is nothing
    first = {column.n_positive() * (std::log(a) - std::log(smallest_concentration)),
             column.n_positive() * (1.0 / a - 1.0 / smallest_concentration)};
    a = smallest_concentration;
  }
  Slopes sum{};
  if (column.evaluates_terms()) {
    kernels.rising_terms(view(column.terms()), a, &sum.value, &sum.slope);
    return {sum.value + first.value, sum.slope + first.slope};
  }
  if (column.subtracts_factorials()) {
    sum.value = weighted_sum(column, poll, [&](double x) { return log_choose(a, x); });
    sum.slope = weighted_sum(column, poll, [&](double x) { return digamma_difference(a, x); });
  } else {
    const auto [values, weights] = column.value_weights();
    kernels.value_weights(values.data(), weights.data(), values.size(), a, &sum.value, &sum.slope);
  }
  return {sum.value + first.value, sum.slope + first.slope};
}

// The same for `size` of 64 lanes, all of which hold a concentration
void evaluate(const CountColumn& column, const double* a, std::size_t size, double* value, double* slope,
              TimedPoll* poll) {
  poll_now_and_then(poll, 0);
  bool plain = !column.empty() && !column.subtracts_factorials();
  for (std::size_t i = 0; i < lane_count; ++i) plain = plain && a[i] >= smallest_concentration;
  if (plain) {
    const LikelihoodKernels& kernels = likelihood_kernels();
    if (column.evaluates_terms()) {
      kernels.rising_terms_batch(view(column.terms()), a, value, slope);
    } else {
      const auto [values, weights] = column.value_weights();
      kernels.value_weights_batch(values.data(), weights.data(), values.size(), a, value, slope);
    }
    return;
  }
  for (std::size_t i = 0; i < size; ++i) {
    const Slopes one = evaluate(column, a[i], poll);
    value[i] = one.value;
    slope[i] = one.slope;
  }
}

double curvature(const CountColumn& column, double a, TimedPoll* poll) {
  poll_now_and_then(poll, 0);
  if (!column.has_table()) return weighted_sum(column, poll, [&](double x) { return trigamma_difference(a, x); });
  double sum = 0.0;
  const auto c = column.exceedances();
  for (std::size_t j = 0; j < c.size(); ++j) {
    const double r = 1.0 / (a + static_cast<double>(j));
    sum += c[j] * r * r;
  }
  return sum;
}

// Two sums of reciprocals that leave less than this share of the first have lost too many digits.
constexpr double least_left = 1e-6;
// From here on, and from the largest total on, both sums are taken as what they lack of x/a and M/A.
constexpr double shortfall_from = 1e4;

double shortfalls(const CountColumn& column, double a, TimedPoll* poll) {
  return weighted_sum(column, poll, [&](double x) { return digamma_shortfall(a, x); });
}

// How many groups have at least each value.
std::vector<double> exceedances_of(const CountColumn::ValueWeights& pairs) {
  std::vector<double> above(pairs.weights.begin(), pairs.weights.end());
  for (std::size_t i = above.size(); i-- > 1;) above[i - 1] += above[i];
  above.push_back(0.0);
  return above;
}

// sum_j (C_j - c_j) / (a + j), of the exceedances of the totals and of one category; no term is negative.
double reciprocals_between(const CountColumn& totals, const CountColumn& column, double a, TimedPoll* poll) {
  const auto of_totals = totals.value_weights();
  const auto of_column = column.value_weights();
  const auto total_above = exceedances_of(of_totals);
  const auto above = exceedances_of(of_column);
  double sum = 0.0;
  double level = 0.0;
  std::size_t i = 0;
  for (std::size_t j = 0; j < of_totals.values.size();) {
    poll_now_and_then(poll, i + j);
    const bool is_column = i < of_column.values.size() && of_column.values[i] <= of_totals.values[j];
    const double next = is_column ? of_column.values[i] : of_totals.values[j];
    const double groups = total_above[j] - above[i];
    if (groups > 0.0 && next > level) sum += groups * digamma_difference(a + level, next - level);
    level = next;
    if (is_column) {
      ++i;
    } else {
      ++j;
    }
  }
  return sum;
}

}  // namespace

SufficientStatistics::SufficientStatistics(std::size_t n_categories)
    : columns_(n_categories), only_column_(n_categories) {}

void SufficientStatistics::add(const CountsView& counts, const double* weights, const Poll& poll) {
  if (counts.n_categories != n_categories()) {
    throw std::invalid_argument("counts has " + std::to_string(counts.n_categories) +
                                " categories; these statistics have " + std::to_string(n_categories()));
  }
  TimedPoll timed_poll(poll);
  Tallies tallies(n_categories());
  double n_groups = 0.0;
  const std::size_t step = std::max<std::size_t>(1, items_per_poll / std::max<std::size_t>(1, n_categories()));
  visit(counts, [&](auto table) {
    for (std::size_t begin = 0; begin < table.n_rows; begin += step) {
      timed_poll();
      const std::size_t end = std::min(begin + step, table.n_rows);
      const std::uint64_t largest = weights != nullptr ? widest : largest_of(table, begin, end);
      if (largest < widest && tallies.reach(largest * n_categories())) {
        tallies.count(table, begin, end);
        n_groups += static_cast<double>(end - begin);
        continue;
      }
      for (std::size_t n = begin; n < end; ++n) {
        const double weight = checked_weight(weights, n);
        std::uint64_t total = 0;
        for (std::size_t k = 0; k < table.n_categories; ++k) {
          const std::uint64_t x = checked(table.at(n, k));
          total = checked_total(total, x);
          tallies.columns[k].add(x, weight);
        }
        tallies.totals.add(total, weight);
        n_groups += weight;
      }
    }
  });
  tallies.flush();
  commit(std::move(tallies.columns), std::move(tallies.totals), n_groups, timed_poll);
}

template <class Index>
void SufficientStatistics::add_sparse(const CountsView& stored, const Index* columns, const Index* offsets,
                                      std::size_t n_rows, const double* weights, const Poll& poll) {
  TimedPoll timed_poll(poll);
  std::size_t n_seen = 0;  // since the last look at the clock
  std::vector<CountColumn> added(n_categories());
  CountColumn totals;
  double n_groups = 0.0;
  visit(stored, [&](auto table) {
    for (std::size_t n = 0; n < n_rows; ++n) {
      const double weight = checked_weight(weights, n);
      std::uint64_t total = 0;
      for (Index i = offsets[n]; i < offsets[n + 1]; ++i) {
        if (columns[i] < 0 || static_cast<std::size_t>(columns[i]) >= n_categories()) {
          throw std::invalid_argument("counts holds a column outside its shape");
        }
        const std::uint64_t x = checked(table.at(0, static_cast<std::size_t>(i)));
        total = checked_total(total, x);
        added[static_cast<std::size_t>(columns[i])].add(x, weight);
      }
      totals.add(total, weight);
      n_groups += weight;
      n_seen += static_cast<std::size_t>(offsets[n + 1] - offsets[n]) + 1;
      if (n_seen >= items_per_poll) {
        n_seen = 0;
        timed_poll();
      }
    }
  });
  commit(std::move(added), std::move(totals), n_groups, timed_poll);
}

template void SufficientStatistics::add_sparse(const CountsView&, const std::int32_t*, const std::int32_t*, std::size_t,
                                               const double*, const Poll&);
template void SufficientStatistics::add_sparse(const CountsView&, const std::int64_t*, const std::int64_t*, std::size_t,
                                               const double*, const Poll&);

void SufficientStatistics::commit(std::vector<CountColumn> columns, CountColumn totals, double n_groups,
                                  TimedPoll& poll) {
  n_groups += n_groups_;
  if (!std::isfinite(n_groups)) throw std::invalid_argument("the sum of the weights exceeds the largest double");
  for (std::size_t k = 0; k < n_categories(); ++k) columns[k].add(columns_[k], poll);
  totals.add(totals_, poll);
  for (auto& column : columns) column.finish(poll);
  totals.finish(poll);
  double log_coefficient = totals.log_factorials();
  for (const auto& column : columns) log_coefficient -= column.log_factorials();
  columns_ = std::move(columns);
  totals_ = std::move(totals);
  n_groups_ = n_groups;
  log_coefficient_ = log_coefficient;
  find_only_column();
}

void SufficientStatistics::find_only_column() {
  only_column_ = n_categories();
  for (std::size_t k = 0; k < n_categories(); ++k) {
    if (columns_[k].empty()) continue;
    if (only_column_ < n_categories()) {
      only_column_ = n_categories();
      return;
    }
    only_column_ = k;
  }
}

void SufficientStatistics::merge(const SufficientStatistics& other, const Poll& poll) {
  if (other.n_categories() != n_categories()) {
    throw std::invalid_argument("cannot merge statistics of " + std::to_string(other.n_categories()) +
                                " categories into " + std::to_string(n_categories()));
  }
  TimedPoll timed_poll(poll);
  commit(other.columns_, other.totals_, other.n_groups_, timed_poll);
}

double SufficientStatistics::log_constant(bool coefficient) const {
  const auto apart = [&](const CountColumn& column) {
    return column.subtracts_factorials() != coefficient ? column.log_factorials() : 0.0;
  };
  double value = apart(totals_);
  for (const auto& column : columns_) value -= apart(column);
  return coefficient ? value : -value;
}

double SufficientStatistics::log_likelihood(const double* concentration, double* gradient, TimedPoll* poll) const {
  if (is_one(concentration) && gradient == nullptr) return log_likelihood_of_one(concentration, poll);
  double total = 0.0;
  for (std::size_t k = 0; k < n_categories(); ++k) total += concentration[k];
  if (!(total <= largest_vector_concentration)) return far_log_likelihood(concentration, gradient, poll);
  const Slopes shared = evaluate(totals_, total, poll);
  double value = 0.0;
  for (std::size_t k = 0; k < n_categories(); ++k) {
    const Slopes own = evaluate(columns_[k], concentration[k], poll);
    value += own.value;
    if (gradient != nullptr) gradient[k] = own.slope;
  }
  if (gradient != nullptr) subtract_shared_slope(concentration, shared.slope, gradient, poll);
  if (is_one(concentration)) return log_likelihood_of_one(concentration, poll);
  return std::isinf(value) ? value : value - shared.value;
}

void SufficientStatistics::log_likelihood(const double* concentration, std::size_t n, double* value, double* gradient,
                                          TimedPoll* poll) const {
  const std::size_t k_n = n_categories();
  for (std::size_t begin = 0; begin < n; begin += lane_count) {
    const std::size_t size = std::min(lane_count, n - begin);
    const double* const block = concentration + begin * k_n;
    double* const slopes = gradient == nullptr ? nullptr : gradient + begin * k_n;
    const auto one_by_one = [&] {
      for (std::size_t i = 0; i < size; ++i)
        value[begin + i] = log_likelihood(block + i * k_n, slopes == nullptr ? nullptr : slopes + i * k_n, poll);
    };
    // too few to fill the lanes: one by one is faster up to 10 (short tables) to 32 of them
    if (8 * size < 3 * lane_count || only_column_ < k_n) {
      one_by_one();
      continue;
    }
    double a[lane_count], total[lane_count], sum[lane_count] = {}, own[lane_count], slope[lane_count],
                                             shared[lane_count], shared_slope[lane_count];
    std::fill_n(a, lane_count, 1.0);
    std::fill_n(total, lane_count, 1.0);
    bool is_far = false;
    for (std::size_t i = 0; i < size; ++i) {
      total[i] = 0.0;
      for (std::size_t k = 0; k < k_n; ++k) total[i] += block[i * k_n + k];
      is_far |= !(total[i] <= largest_vector_concentration);
    }
    if (is_far) {
      one_by_one();
      continue;
    }
    evaluate(totals_, total, size, shared, shared_slope, poll);
    for (std::size_t k = 0; k < k_n; ++k) {
      for (std::size_t i = 0; i < size; ++i) a[i] = block[i * k_n + k];
      evaluate(columns_[k], a, size, own, slope, poll);
      for (std::size_t i = 0; i < size; ++i) sum[i] += own[i];
      for (std::size_t i = 0; slopes != nullptr && i < size; ++i) slopes[i * k_n + k] = slope[i];
    }
    for (std::size_t i = 0; slopes != nullptr && i < size; ++i)
      subtract_shared_slope(block + i * k_n, shared_slope[i], slopes + i * k_n, poll);
    for (std::size_t i = 0; i < size; ++i) value[begin + i] = std::isinf(sum[i]) ? sum[i] : sum[i] - shared[i];
  }
}

// Where all groups are of one category: each may have a probability near 1, whose two parts cancel.
double SufficientStatistics::log_likelihood_of_one(const double* concentration, TimedPoll* poll) const {
  double others = 0.0;
  double scaled = 0.0;
  for (std::size_t k = 0; k < n_categories(); ++k) {
    if (k == only_column_) continue;
    others += concentration[k];
    scaled += concentration[k] * concentration_scale;
  }
  return weighted_sum(
      totals_, poll, [&](double total) { return log_pmf_of_pure(concentration[only_column_], others, scaled, total); });
}

// Where the rising factorials of the sum, and of large concentrations, are powers to the last digit.
double SufficientStatistics::far_log_likelihood(const double* concentration, double* gradient, TimedPoll* poll) const {
  double scaled_total = 0.0;  // the sum itself may overflow
  for (std::size_t k = 0; k < n_categories(); ++k) scaled_total += concentration[k] * concentration_scale;
  const double log_total = std::log(scaled_total) - log_concentration_scale;
  const auto factorials = [](const CountColumn& column) {
    return column.subtracts_factorials() ? column.log_factorials() : 0.0;
  };
  double value = factorials(totals_);
  for (std::size_t k = 0; k < n_categories(); ++k) {
    const CountColumn& column = columns_[k];
    const double a = concentration[k];
    const bool is_power = a > largest_vector_concentration;
    const Slopes own =
        is_power ? Slopes{column.sum() * std::log(a * concentration_scale / scaled_total) - factorials(column),
                          column.sum() / a}
                 : evaluate(column, a, poll);
    value += is_power || column.empty() ? own.value : own.value - column.sum() * log_total;
    if (gradient != nullptr) gradient[k] = own.slope;
  }
  if (gradient != nullptr)
    subtract_shared_slope(concentration, totals_.sum() / scaled_total * concentration_scale, gradient, poll);
  return is_one(concentration) ? log_likelihood_of_one(concentration, poll) : value;
}

// From each category's own slope to the gradient.
void SufficientStatistics::subtract_shared_slope(const double* concentration, double shared, double* gradient,
                                                 TimedPoll* poll) const {
  for (std::size_t k = 0; k < n_categories(); ++k) {
    const double own = gradient[k];
    gradient[k] = own - shared;
    if (!(std::abs(gradient[k]) >= least_left * own)) gradient[k] = exact_slope(concentration, k, poll);
  }
}

// One component of the gradient where its two sums cancel.
double SufficientStatistics::exact_slope(const double* concentration, std::size_t k, TimedPoll* poll) const {
  const CountColumn& column = columns_[k];
  const double a = concentration[k];
  if (a == 0.0) return std::numeric_limits<double>::infinity();  // without counts nothing cancels
  double plain_sum = 0.0;
  for (std::size_t l = 0; l < n_categories(); ++l) plain_sum += concentration[l];
  const double scale = plain_sum <= largest_concentration_sum ? 1.0 : concentration_scale;
  ExactSum others;
  for (std::size_t l = 0; l < n_categories(); ++l) {
    if (l != k) others.add(concentration[l] * scale);
  }
  const double r = others.high + others.low;
  const double sum = a * scale + r;
  const double largest = totals_.empty() ? 0.0 : totals_.value_weights().values.back();
  if (scale < 1.0 || (a >= shortfall_from && a >= largest)) {
    // sum x / a - sum M / A, and what both lack of it
    const double rest = totals_.sum() - column.sum();
    const double excess =
        difference_of_products(column.sum(), r, a * scale, rest) + column.sum() * ((others.high - r) + others.low);
    const double leading = excess / (a * scale) / sum * scale;
    return scale < 1.0 ? leading : leading - (shortfalls(column, a, poll) - shortfalls(totals_, sum, poll));
  }
  // beside the same counts as totals
  const double own = weighted_sum(column, poll, [&](double x) { return digamma_shift(a, r, x); });
  return own - reciprocals_between(totals_, column, sum, poll);
}

double SufficientStatistics::hessian(const double* concentration, double* diagonal, TimedPoll* poll) const {
  double total = 0.0;
  for (std::size_t k = 0; k < n_categories(); ++k) {
    total += concentration[k];
    diagonal[k] = -curvature(columns_[k], concentration[k], poll);
  }
  return curvature(totals_, total, poll);
}

SufficientStatistics SufficientStatistics::restore(const std::vector<CountColumn::ValueWeights>& columns,
                                                   double n_groups) {
  const auto refuse = [](bool bad) {
    if (bad) throw std::invalid_argument("not a state of SufficientStatistics");
  };
  refuse(columns.empty() || !(n_groups >= 0.0));
  std::vector<CountColumn> restored(columns.size());
  double sum = 0.0;  // of all counts, by the categories
  for (std::size_t k = 0; k < columns.size(); ++k) {
    const auto [values, weights] = columns[k];
    refuse(values.size() != weights.size());
    const bool is_totals = k + 1 == columns.size();
    double last = 0.0;
    double n_positive = 0.0;
    double of_column = 0.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      refuse(!(values[i] > last && values[i] <= static_cast<double>(largest_statistics_total) &&
               values[i] == std::floor(values[i])));
      refuse(!(weights[i] > 0.0 && std::isfinite(weights[i])));
      last = values[i];
      n_positive += weights[i];
      of_column += values[i] * weights[i];
      restored[k].add(static_cast<std::uint64_t>(values[i]), weights[i]);
    }
    constexpr double rounding = 1e-9;  // of sums in other orders
    refuse(n_positive > n_groups * (1.0 + rounding));
    refuse(is_totals && !(std::abs(of_column - sum) <= rounding * sum));
    if (!is_totals) sum += of_column;
  }
  SufficientStatistics result(columns.size() - 1);
  CountColumn totals = std::move(restored.back());
  restored.pop_back();
  const Poll none;
  TimedPoll poll(none);
  result.commit(std::move(restored), std::move(totals), n_groups, poll);
  return result;
}

}  // namespace hbm_fast
