// Rows are gathered into blocks (non-zero counts with their concentrations), and a block is evaluated by the vector
// loops. A row that they cannot do to full precision is handed to exact_log_pmf: the caller's `exact(row)`.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "core/array_view.hpp"
#include "likelihood/kernels.hpp"

namespace hbm_fast {

// Small factorials and binomial coefficients, all correctly rounded or nearly.
class Factorials {
 public:
  static constexpr std::size_t n_logs = 2048;
  static const Factorials& get();
  double log_factorial(double n) const;
  const double* inverses() const { return inverses_; }     // 1 / n!, n < 32
  const double* choose() const { return choose_.data(); }  // [32 n + x], n < 63, x < 32
  const double* ones() const { return ones_.data(); }      // as many

 private:
  Factorials();
  std::vector<double> logs_;
  double inverses_[32];
  std::vector<double> choose_, ones_;
};

// Up to 64 rows whose draws all fell into one category.
struct PureRows {
  double a[lane_count];
  double others[lane_count];  // the sum of the other concentrations
  double total[lane_count];
  std::size_t row[lane_count];
  std::size_t n = 0;
};

// Where rows lie: pointers to the first, strides in elements.
template <class T>
struct RowRun {
  const T* x;
  std::ptrdiff_t x_row;
  std::ptrdiff_t x_category;
  const double* a;
  std::ptrdiff_t a_row;
  std::ptrdiff_t a_category;
};

template <class T>
constexpr std::size_t type_index() {
  return (sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 2 : sizeof(T) == 4 ? 4 : 6) + (std::is_signed_v<T> ? 0 : 1);
}
static_assert(type_index<std::int8_t>() == static_cast<std::size_t>(CountType::int8) &&
              type_index<std::uint64_t>() == static_cast<std::size_t>(CountType::uint64));

// Where a row of counts is not 0, and its counts there (negative ones appear huge); K + 1 places each. Returns how
// many.
template <class T>
std::size_t positive_counts(const LikelihoodKernels& kernels, const T* x, std::ptrdiff_t x_stride,
                            std::size_t n_categories, std::uint32_t* where, std::uint64_t* value) {
  if (x_stride == 1) return kernels.positive[type_index<T>()](x, n_categories, where, value);
  std::size_t n = 0;
  for (std::size_t k = 0; k < n_categories; ++k) {
    const T count = x[static_cast<std::ptrdiff_t>(k) * x_stride];
    where[n] = static_cast<std::uint32_t>(k);
    value[n] = static_cast<std::uint64_t>(count);
    n += count != 0;
  }
  return n;
}

// Whether the rounding of terms of both signs stays within the error bound of log_pmf where they cancel. Rounding
// errors are proportional to the absolute sum of the terms, and to their number.
inline bool is_exact(double value, double absolute, double n_terms) {
  constexpr double rounding = 5e-16;
  constexpr double rounding_of_a_term = 2e-15;
  constexpr double bound = 1e-13;
  return absolute * rounding + n_terms * rounding_of_a_term <= bound * (value < 0.0 ? -value : value);
}

// Whether the vector loops take a concentration, or a sum of them.
inline bool in_vector_range(double a) {
  return a >= smallest_vector_concentration && a <= largest_vector_concentration;
}

struct SumMin {
  double sum;
  double smallest;
};

class RowBlocks {
 public:
  static constexpr std::size_t block_elements = 1024;
  // Elements of a block that a row of n_categories can still be added to, and one that the gathering overwrites.
  static constexpr std::size_t places_for(std::size_t n_categories) {
    return std::max(block_elements, n_categories) + n_categories + 1;
  }

  RowBlocks(std::size_t n_categories, bool coefficient, double* out);

  // Adds n rows, the first of them number `row` of the output; calls exact(row) for those that the loops cannot
  // evaluate to full precision. Throws std::invalid_argument for bad values.
  template <class T, class Exact>
  void push(std::size_t row, std::size_t n, const RowRun<T>& run, Exact&& exact);

  // Adds one row by its stored entries (each column at most once) and the sum of all concentrations.
  template <class T, class Index, class Exact>
  void push_stored(std::size_t row, const T* values, std::ptrdiff_t value_stride, const Index* columns,
                   std::size_t n_stored, const double* a, SumMin of_row, Exact&& exact);

  // Writes the values of all rows pushed.
  template <class Exact>
  void flush(Exact&& exact) {
    evaluate();
    for (const std::size_t row : refused_) exact(row);
    refused_.clear();
  }

  // Checks concentrations and adds them up.
  static SumMin sum_of(const double* a, std::ptrdiff_t a_stride, std::size_t n);
  // Throws for a total that is too large, or is of a negative count.
  static void check_total(std::uint64_t total, bool is_signed) {
    if (total > largest_exact_integer) refuse_total(total, is_signed);
  }

 private:
  [[noreturn]] static void refuse_total(std::uint64_t total, bool is_signed);
  template <class T>
  bool push_one(std::size_t row, const T* x, std::ptrdiff_t x_stride, const double* a, std::ptrdiff_t a_stride);
  // The elements [n_, n_ + n) have been written; false where the loops cannot evaluate the row.
  bool close_row(std::size_t row, std::size_t n, std::uint64_t total, SumMin of_row);
  bool push_pure(std::size_t row, double a, double others, double total);
  void add_pure(std::size_t row, double a, double others, double total) {
    pure_.a[pure_.n] = a;
    pure_.others[pure_.n] = others;
    pure_.total[pure_.n] = total;
    pure_.row[pure_.n] = row;
    ++pure_.n;
  }
  // Writes those of n counts that are not 0, count(i), with their concentrations, a(i), behind the elements there are.
  // Returns how many; their sum, or what check_total refuses, goes to *total.
  template <class Count, class Concentration>
  std::size_t gather(std::size_t n, const Count& count, const Concentration& a, std::uint64_t* total);
  bool full() const { return n_ + n_categories_ + 1 > size_ || rows_ == lane_count || pure_.n == lane_count; }

  void evaluate();
  void evaluate_pure();
  void evaluate_rows();

  std::size_t n_categories_;
  bool coefficient_;
  double* out_;
  const LikelihoodKernels& kernels_;
  const Factorials& factorials_;

  // gathered elements, and where each row of them begins
  std::size_t size_;
  std::unique_ptr<double[]> counts_, concentration_, terms_, log_factorials_;
  std::size_t n_ = 0;
  std::size_t rows_ = 0;
  std::size_t first_[lane_count + 1];
  std::size_t row_[lane_count];
  double total_[lane_count], sum_[lane_count];
  PureRows pure_;
  std::vector<std::size_t> refused_;

  // the concentration last read: often one for all rows
  const double* last_ = nullptr;
  SumMin last_sum_{};
};

template <class T, class Exact>
void RowBlocks::push(std::size_t row, std::size_t n, const RowRun<T>& run, Exact&& exact) {
  const auto one = [&](std::size_t i) {
    const auto at = static_cast<std::ptrdiff_t>(i);
    if (!push_one(row + i, run.x + at * run.x_row, run.x_category, run.a + at * run.a_row, run.a_category))
      exact(row + i);
    if (full()) flush(exact);
  };
  if (n_categories_ != 2) {
    for (std::size_t i = 0; i < n; ++i) one(i);
    return;
  }
  TwoCategoryBlock block;
  alignas(64) double pmf[lane_count], log_pmf[lane_count];
  for (std::size_t begin = 0; begin < n; begin += lane_count) {
    const std::size_t size = n - begin < lane_count ? n - begin : lane_count;
    const auto at = static_cast<std::ptrdiff_t>(begin);
    kernels_.load_two_categories[type_index<T>()](run.x + at * run.x_row, run.x_row, run.x_category,
                                                  run.a + at * run.a_row, run.a_row, run.a_category,
                                                  static_cast<int>(size), &block);
    double* const out = out_ + row + begin;
    double* const to = size == lane_count ? out : log_pmf;
    std::uint64_t rest =
        kernels_.two_categories(&block, coefficient_ ? factorials_.choose() : factorials_.ones(), pmf, to);
    if (size < lane_count) {
      std::copy_n(log_pmf, size, out);
      rest &= (std::uint64_t{1} << size) - 1;
    }
    for (; rest != 0; rest &= rest - 1) {
      const auto i = static_cast<std::size_t>(std::countr_zero(rest));
      if (pmf[i] < almost_one) {
        one(begin + i);
        continue;
      }
      // only rows of one category come so near to 1, where a logarithm has fewer right digits than the pmf
      const bool first = block.y[i] == 0;
      add_pure(row + begin + i, (first ? block.a : block.b)[i], (first ? block.b : block.a)[i],
               static_cast<double>(block.x[i] + block.y[i]));
      if (full()) flush(exact);
    }
  }
}

template <class Count, class Concentration>
std::size_t RowBlocks::gather(std::size_t n, const Count& count, const Concentration& a, std::uint64_t* total) {
  std::uint64_t sum = 0;
  std::uint64_t any = 0;
  std::size_t end = n_;
  for (std::size_t i = 0; i < n; ++i) {
    const auto value = count(i);
    any |= static_cast<std::uint64_t>(value);
    sum += static_cast<std::uint64_t>(value);
    if (any > largest_exact_integer || sum > largest_exact_integer) break;
    counts_[end] = static_cast<double>(value);
    concentration_[end] = a(i);
    end += value != 0;
  }
  *total = any > largest_exact_integer ? any : sum;
  return end - n_;
}

template <class T>
bool RowBlocks::push_one(std::size_t row, const T* x, std::ptrdiff_t x_stride, const double* a,
                         std::ptrdiff_t a_stride) {
  if (a != last_) {
    last_sum_ = sum_of(a, a_stride, n_categories_);
    last_ = a;
  }
  const auto count = [=](std::size_t k) { return x[static_cast<std::ptrdiff_t>(k) * x_stride]; };
  const auto concentration = [=](std::size_t k) { return a[static_cast<std::ptrdiff_t>(k) * a_stride]; };
  std::uint64_t total = 0;
  const std::size_t n = x_stride == 1
                            ? kernels_.gather[type_index<T>()](x, a, a_stride, n_categories_, counts_.get() + n_,
                                                               concentration_.get() + n_, &total)
                            : gather(n_categories_, count, concentration, &total);
  check_total(total, std::is_signed_v<T>);
  if (n == 1) {
    double others = 0.0;
    for (std::size_t k = 0; k < n_categories_; ++k) others += count(k) == 0 ? concentration(k) : 0.0;
    return push_pure(row, concentration_[n_], others, counts_[n_]);
  }
  return close_row(row, n, total, last_sum_);
}

template <class T, class Index, class Exact>
void RowBlocks::push_stored(std::size_t row, const T* values, std::ptrdiff_t value_stride, const Index* columns,
                            std::size_t n_stored, const double* a, SumMin of_row, Exact&& exact) {
  const auto count = [=](std::size_t i) { return values[static_cast<std::ptrdiff_t>(i) * value_stride]; };
  std::uint64_t total = 0;
  const std::size_t n = gather(n_stored, count, [=](std::size_t i) { return a[columns[i]]; }, &total);
  check_total(total, std::is_signed_v<T>);
  bool done;
  if (n == 1) {
    std::size_t own = 0;
    while (count(own) == 0) ++own;
    double others = 0.0;
    for (std::size_t k = 0; k < n_categories_; ++k) others += k == static_cast<std::size_t>(columns[own]) ? 0.0 : a[k];
    done = push_pure(row, a[columns[own]], others, counts_[n_]);
  } else {
    done = close_row(row, n, total, of_row);
  }
  if (!done) exact(row);
  if (full()) flush(exact);
}

}  // namespace hbm_fast
