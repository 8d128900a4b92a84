// Rows that share one concentration: what small counts add is looked up in a table made once, and only large counts are
// worked out one by one.
#pragma once

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
};

// One thread's rows: their positive counts are gathered, and many rows are worked out at once.
class SharedRows {
 public:
  SharedRows(const SharedConcentration& shared, double* out);

  // Adds a row of K counts, or of the stored ones, whose columns are in range.
  template <class T>
  void push(std::size_t row, const T* x, std::ptrdiff_t x_stride);
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
    if (rows_ == lanes || n_ + shared_.a.size() + 1 > size_) flush(otherwise);
  }

 private:
  void close(std::size_t row, std::size_t n) {
    row_[rows_++] = row;
    n_ += n;
    first_[rows_] = n_;
  }
  void evaluate();

  const SharedConcentration& shared_;
  double* out_;
  const LikelihoodKernels& kernels_;
  const Factorials& factorials_;
  // gathered counts; then the terms of all, and the counts that the table does not hold
  std::size_t size_;
  std::unique_ptr<std::uint64_t[]> counts_;
  std::unique_ptr<std::uint32_t[]> category_, beyond_;
  std::unique_ptr<double[]> terms_, count_beyond_, concentration_, log_gamma_, term_beyond_;
  std::size_t n_ = 0;
  std::size_t rows_ = 0;
  std::size_t first_[lanes + 1] = {};
  std::size_t row_[lanes];
  std::vector<std::size_t> refused_;
};

template <class T>
void SharedRows::push(std::size_t row, const T* x, std::ptrdiff_t x_stride) {
  close(row, positive_counts(kernels_, x, x_stride, shared_.a.size(), category_.get() + n_, counts_.get() + n_));
}

template <class T, class Index>
void SharedRows::push_stored(std::size_t row, const T* values, std::ptrdiff_t value_stride, const Index* columns, std::size_t n_stored) {
  std::uint64_t* const counts = counts_.get() + n_;
  std::uint32_t* const category = category_.get() + n_;
  for (std::size_t i = 0; i < n_stored; ++i) {
    category[i] = static_cast<std::uint32_t>(columns[i]);
    counts[i] = static_cast<std::uint64_t>(values[static_cast<std::ptrdiff_t>(i) * value_stride]);
  }
  close(row, n_stored);
}

}  // namespace hbm_fast
