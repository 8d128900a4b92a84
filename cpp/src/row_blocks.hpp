// Rows are gathered into blocks (non-zero counts with their concentrations), and a block is evaluated by the vector loops.
// A row that they cannot do to full precision is handed to careful_log_pmf: the caller's `careful(row)`.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "likelihood_kernels.hpp"

namespace hbm_fast {

constexpr std::uint64_t largest_row_total = std::uint64_t{1} << 53;  // from here on doubles skip integers
constexpr int lanes = 64;

// What the vector loops can read: normal numbers whose products of four do not overflow.
constexpr double smallest_vector_concentration = 1e-70;
constexpr double largest_vector_concentration = 1e70;

// log(n!) for small n, and the binomial coefficients of totals up to `lanes`, all correctly rounded or nearly.
class Factorials {
 public:
  static constexpr std::size_t n_logs = 2048;
  static const Factorials& get();
  const double* logs() const { return logs_.data(); }
  double choose(int n, int x) const { return choose_[static_cast<std::size_t>(n * (n + 1) / 2 + x)]; }

 private:
  Factorials();
  std::vector<double> logs_;
  std::vector<double> choose_;
};

// Up to 64 rows for the loops that run over lanes: two categories with counts, or one.
struct Lanes {
  double a[lanes];
  double b[lanes];  // the other category's concentration; for groups of one category, the sum of all others
  double x[lanes];
  double total[lanes];
  double value[lanes];
  std::size_t row[lanes];
  int n = 0;
  int largest = 0;

  void push(double a_, double b_, double x_, double total_, std::size_t row_) {
    a[n] = a_;
    b[n] = b_;
    x[n] = x_;
    total[n] = total_;
    row[n] = row_;
    largest = largest > static_cast<int>(total_) ? largest : static_cast<int>(total_);
    ++n;
  }
  // Fills up to 64 with groups of no draws.
  void pad() {
    for (int i = n; i < lanes; ++i) {
      a[i] = b[i] = 1.0;
      x[i] = total[i] = 0.0;
    }
  }
  void clear() { n = largest = 0; }
};

class RowBlocks {
 public:
  static constexpr std::size_t block_elements = 1024;

  RowBlocks(std::size_t n_categories, bool coefficient, double* out);

  // Adds row number `row` of the output; reads x[k * x_stride], a[k * a_stride]. Returns false where the row must be done
  // with care instead. Throws std::invalid_argument for bad values.
  template <class T>
  bool push(std::size_t row, const T* x, std::ptrdiff_t x_stride, const double* a, std::ptrdiff_t a_stride);

  bool full() const { return n_ + n_categories_ > counts_.size() || rows_ == lanes || two_.n == lanes || one_.n == lanes; }

  // Writes the values of all rows pushed; calls careful(row) for those it cannot do to full precision.
  template <class Careful>
  void flush(Careful&& careful) {
    evaluate();
    for (const std::size_t row : refused_) careful(row);
    refused_.clear();
  }

 private:
  void evaluate();
  void evaluate_two();
  void evaluate_one();
  void evaluate_rows();
  void read_concentration(const double* a, std::ptrdiff_t a_stride);

  template <class T>
  void take(T x, double a) {  // without a branch: a zero is overwritten by the next
    counts_[n_] = static_cast<double>(x);
    concentration_[n_] = a;
    n_ += x != 0;
  }

  std::size_t n_categories_;
  bool coefficient_;
  double* out_;
  const LikelihoodKernels& kernels_;
  const Factorials& factorials_;

  // gathered elements, and where each row of them begins
  std::vector<double> counts_, concentration_, terms_, log_factorials_;
  std::size_t n_ = 0;
  std::size_t rows_ = 0;
  std::size_t first_[lanes + 1];
  std::size_t row_[lanes];
  double total_[lanes], sum_[lanes];
  double largest_count_ = 0.0;
  Lanes two_, one_;
  std::vector<std::size_t> refused_;

  // the concentration last read: often one for all rows
  const double* last_ = nullptr;
  double last_sum_ = 0.0;
  bool last_plain_ = false;
};

template <class T>
bool RowBlocks::push(std::size_t row, const T* x, std::ptrdiff_t x_stride, const double* a, std::ptrdiff_t a_stride) {
  if (n_categories_ == 2) {
    const T x0 = x[0];
    const T x1 = x[x_stride];
    const double a0 = a[0];
    const double a1 = a[a_stride];
    const std::uint64_t either = static_cast<std::uint64_t>(x0) | static_cast<std::uint64_t>(x1);
    const bool plain = a0 >= smallest_vector_concentration && a0 <= largest_vector_concentration &&
                       a1 >= smallest_vector_concentration && a1 <= largest_vector_concentration;
    if (either <= lanes / 2 && plain) {
      const auto y0 = static_cast<double>(x0);
      const auto y1 = static_cast<double>(x1);
      if (x0 == 0) {
        one_.push(a1, a0, y1, y1, row);
      } else if (x1 == 0) {
        one_.push(a0, a1, y0, y0, row);
      } else {
        two_.push(a0, a1, y0, y0 + y1, row);
      }
      return true;
    }
  }
  if (a != last_) read_concentration(a, a_stride);
  const std::size_t begin = n_;
  std::uint64_t total = 0;
  std::size_t k = 0;
  const auto check = [&](std::uint64_t any) {
    if (any > largest_row_total || total > largest_row_total) {
      if (std::is_signed_v<T> && (any >> 63) != 0) throw std::invalid_argument("counts must not be negative");
      throw std::invalid_argument("a total of counts exceeds 2**53");
    }
  };
  if (x_stride == 1) {
    for (; k + 16 <= n_categories_; k += 16) {  // zeros are passed sixteen at a time
      std::uint64_t any = 0;
      for (std::size_t i = 0; i < 16; ++i) any |= static_cast<std::uint64_t>(x[k + i]);
      if (any == 0) continue;
      for (std::size_t i = k; i < k + 16; ++i) {
        total += static_cast<std::uint64_t>(x[i]);
        take(x[i], a[static_cast<std::ptrdiff_t>(i) * a_stride]);
      }
      check(any);
    }
  }
  std::uint64_t any = 0;
  for (; k < n_categories_; ++k) {
    const T value = x[static_cast<std::ptrdiff_t>(k) * x_stride];
    any |= static_cast<std::uint64_t>(value);
    total += static_cast<std::uint64_t>(value);
    take(value, a[static_cast<std::ptrdiff_t>(k) * a_stride]);
    if ((k & 255) == 255) check(any);
  }
  check(any);
  const std::size_t n = n_ - begin;
  if (!last_plain_ || n == 1) {
    const double count = n == 1 ? counts_[begin] : 0.0;
    const double own = n == 1 ? concentration_[begin] : 0.0;
    n_ = begin;
    if (n == 1 && last_plain_ && count <= lanes) {
      double others = 0.0;
      for (std::size_t i = 0; i < n_categories_; ++i) {
        others += x[static_cast<std::ptrdiff_t>(i) * x_stride] == 0 ? a[static_cast<std::ptrdiff_t>(i) * a_stride] : 0.0;
      }
      one_.push(own, others, count, count, row);
      return true;
    }
    return false;
  }
  if (n == 0) {
    out_[row] = 0.0;
    return true;
  }
  for (std::size_t i = begin; i < n_; ++i) largest_count_ = counts_[i] > largest_count_ ? counts_[i] : largest_count_;
  first_[rows_] = begin;
  row_[rows_] = row;
  total_[rows_] = static_cast<double>(total);
  sum_[rows_] = last_sum_;
  ++rows_;
  return true;
}

}  // namespace hbm_fast
