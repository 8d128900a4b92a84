// Rows that share one concentration: what small counts add is looked up in a table made once, and only large counts are
// worked out one by one.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "row_blocks.hpp"

namespace hbm_fast {

struct SharedConcentration {
  SharedConcentration(const double* a, std::ptrdiff_t a_stride, std::size_t n_categories, std::size_t n_rows,
                      double n_positive, bool coefficient);

  // Fewer rows than this do not pay for the table.
  static constexpr std::size_t fewest_rows = 64;

  bool coefficient;
  unsigned log_width;               // counts below 2^log_width are in the table
  std::vector<double> a;            // (K,)
  std::vector<double> log_gamma;    // (K,), of a
  std::vector<double> table;        // (K, 2^log_width): log(a_k (a_k+1) ... (a_k+x-1)), less log(x!) with the coefficient
  std::vector<double> of_totals;    // the same of the sum
  double sum;
  double largest;
};

// One thread's rows: each is looked up as it comes, and the large counts of many rows are worked out at once.
class SharedRows {
 public:
  SharedRows(const SharedConcentration& shared, double* out);

  // Adds a row of K counts, or of at most K stored ones, whose columns are in range.
  template <class T>
  void push(std::size_t row, const T* x, std::ptrdiff_t x_stride) {
    const std::size_t n = positive_counts(kernels_, x, x_stride, shared_.a.size(), where_.get(), value_.get());
    push_stored(row, value_.get(), 1, where_.get(), n);
  }
  template <class T, class Index>
  void push_stored(std::size_t row, const T* values, std::ptrdiff_t value_stride, const Index* columns, std::size_t n_stored);

  // Writes the values of the rows pushed; calls otherwise(row) for those that must be done in another way: bad counts, and
  // what needs care.
  template <class Otherwise>
  void flush(Otherwise&& otherwise) {
    evaluate();
    for (const std::size_t row : refused_) otherwise(row);
    refused_.clear();
  }
  template <class Otherwise>
  void flush_if_full(Otherwise&& otherwise) {
    if (rows_ == lanes || first_beyond_[rows_] + shared_.a.size() + 1 > size_) flush(otherwise);
  }

 private:
  struct Row {
    std::size_t number;
    double sum;       // of the terms that the table holds
    double absolute;  // of their absolute values
    std::uint64_t total;
    std::uint64_t any;  // the bits of all counts
    double n_terms;
  };

  void evaluate();
  void evaluate_beyond(std::size_t n);

  const SharedConcentration& shared_;
  double* out_;
  const LikelihoodKernels& kernels_;
  const Factorials& factorials_;
  std::unique_ptr<std::uint32_t[]> where_;  // of one dense row
  std::unique_ptr<std::uint64_t[]> value_;
  std::size_t rows_ = 0;
  Row row_[lanes];
  // the counts that the table does not hold, in the order of the rows
  std::size_t size_;
  std::size_t first_beyond_[lanes + 1] = {};
  std::unique_ptr<std::uint32_t[]> category_;
  std::unique_ptr<double[]> count_, concentration_, log_gamma_, term_;
  // those of large concentrations
  std::unique_ptr<std::uint32_t[]> large_;
  std::unique_ptr<double[]> large_count_, large_term_;
  std::vector<std::size_t> refused_;
};

template <class T, class Index>
void SharedRows::push_stored(std::size_t row, const T* values, std::ptrdiff_t value_stride, const Index* columns, std::size_t n_stored) {
  const double* const table = shared_.table.data();
  const unsigned log_width = shared_.log_width;
  std::size_t n_beyond = first_beyond_[rows_];
  double sum[2] = {};
  double absolute[2] = {};
  std::uint64_t total = 0;
  std::uint64_t any = 0;
  const auto take = [&](std::size_t i, std::size_t l) {
    const auto x = static_cast<std::uint64_t>(values[static_cast<std::ptrdiff_t>(i) * value_stride]);
    const auto k = static_cast<std::uint32_t>(columns[i]);
    const bool is_held = (x >> log_width) == 0;
    const double term = table[(std::size_t{k} << log_width) | (is_held ? x : 0)];  // a category's first entry is 0
    sum[l] += term;
    absolute[l] += std::abs(term);
    total += x;
    any |= x;
    category_[n_beyond] = k;  // overwritten by the next where the table holds it
    count_[n_beyond] = static_cast<double>(static_cast<std::int64_t>(x));
    n_beyond += is_held ? 0 : 1;
  };
  std::size_t i = 0;
  for (; i + 2 <= n_stored; i += 2) {
    take(i, 0);
    take(i + 1, 1);
  }
  if (i < n_stored) take(i, 0);
  row_[rows_] = {row, sum[0] + sum[1], absolute[0] + absolute[1], total, any, static_cast<double>(n_stored) + 1.0};
  first_beyond_[++rows_] = n_beyond;
}

}  // namespace hbm_fast
