// Rows that share one concentration: what small counts add is looked up in a table made once, and only large counts are
// worked out one by one.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "row_blocks.hpp"

namespace hbm_fast {

struct SharedConcentration {
  SharedConcentration(const double* a, std::ptrdiff_t a_stride, std::size_t n_categories, std::size_t n_rows,
                      double n_positive, bool coefficient);

  // Fewer rows than this do not pay for the table.
  static constexpr std::size_t fewest_rows = 64;

  bool coefficient;
  std::size_t width;                // counts below it are in the table
  std::vector<double> a;            // (K,)
  std::vector<double> log_gamma;    // (K,), of a
  std::vector<double> table;        // (K, width): log(a_k (a_k+1) ... (a_k+x-1)), less log(x!) with the coefficient
  std::vector<double> of_totals;    // the same of the sum
  double sum;
};

// One thread's rows.
class SharedRows {
 public:
  SharedRows(const SharedConcentration& shared, double* out);

  // Adds a row of K counts, or of the stored ones; false where the row must be done in another way: bad counts, and what
  // needs care.
  template <class T>
  bool push(std::size_t row, const T* x, std::ptrdiff_t x_stride);
  template <class T, class Index>
  bool push_stored(std::size_t row, const T* values, std::ptrdiff_t value_stride, const Index* columns, std::size_t n_stored);

  template <class Careful>
  void flush_if_full(Careful&& careful) {
    if (rows_ == lanes || n_ + shared_.a.size() > counts_.size()) flush(careful);
  }

  template <class Careful>
  void flush(Careful&& careful) {
    evaluate();
    for (const std::size_t row : refused_) careful(row);
    refused_.clear();
  }

 private:
  // Sums over the row that is being read.
  struct Partial {
    double terms = 0.0;
    double absolute = 0.0;
    std::uint64_t total = 0;
    std::uint64_t any = 0;
    std::size_t n = 0;  // elements that the table does not hold
  };

  // The n counts value(i) of categories where(i)
  template <class Where, class Value>
  Partial look_up(std::size_t n, Where&& where, Value&& value) {
    const double* const table = shared_.table.data();
    const std::size_t width = shared_.width;
    double* const counts = counts_.data() + n_;
    std::uint32_t* const categories = category_.data() + n_;
    Partial p;
    for (std::size_t i = 0; i < n; ++i) {  // without a branch: what the table holds is overwritten by the next
      const std::uint64_t x = value(i);
      const std::size_t k = where(i);
      const bool held = x < width;
      const double term = table[k * width + (held ? x : 0)];
      p.any |= x;
      p.total += x;
      p.terms += term;
      p.absolute += std::abs(term);
      counts[p.n] = static_cast<double>(static_cast<std::int64_t>(x));
      categories[p.n] = static_cast<std::uint32_t>(k);
      p.n += held ? 0 : 1;
    }
    return p;
  }
  bool close(std::size_t row, const Partial& p);
  void evaluate();

  const SharedConcentration& shared_;
  double* out_;
  const LikelihoodKernels& kernels_;
  const Factorials& factorials_;
  std::vector<double> counts_, concentration_, log_gamma_, terms_;
  std::vector<std::uint32_t> category_, where_;
  std::vector<std::uint64_t> value_;
  std::size_t n_ = 0;
  std::size_t rows_ = 0;
  std::size_t first_[lanes + 1];
  std::size_t row_[lanes];
  double total_[lanes], sum_[lanes], terms_of_row_[lanes], absolute_[lanes];
  std::vector<std::size_t> refused_;
};

template <class T>
bool SharedRows::push(std::size_t row, const T* x, std::ptrdiff_t x_stride) {
  const std::size_t n_categories = shared_.a.size();
  std::size_t n = 0;
  if (x_stride == 1) {
    n = kernels_.positive[type_index<T>()](x, n_categories, where_.data(), value_.data());
  } else {
    for (std::size_t k = 0; k < n_categories; ++k) {
      const T count = x[static_cast<std::ptrdiff_t>(k) * x_stride];
      where_[n] = static_cast<std::uint32_t>(k);
      value_[n] = static_cast<std::uint64_t>(count);
      n += count != 0;
    }
  }
  const std::uint32_t* const where = where_.data();
  const std::uint64_t* const value = value_.data();
  return close(row, look_up(n, [=](std::size_t i) { return where[i]; }, [=](std::size_t i) { return value[i]; }));
}

template <class T, class Index>
bool SharedRows::push_stored(std::size_t row, const T* values, std::ptrdiff_t value_stride, const Index* columns, std::size_t n_stored) {
  const auto where = [=](std::size_t i) { return static_cast<std::size_t>(columns[i]); };
  const auto value = [=](std::size_t i) { return static_cast<std::uint64_t>(values[static_cast<std::ptrdiff_t>(i) * value_stride]); };
  return close(row, look_up(n_stored, where, value));
}

}  // namespace hbm_fast
