// Rows that share one concentration: the terms of small counts are looked up, having been computed once for all rows;
// the terms of large counts are computed for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "likelihood/products.hpp"

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
  std::unique_ptr<double[]> table;  // (width, K): log(a_k (a_k+1) ... (a_k+x-1)), less log(x!) with the coefficient
  std::vector<double> total_terms;  // the same of the sum
  SumMin sum_min;                   // a's sum and its smallest
  double largest;
};

// One thread's rows. Their counts above 0 lie one after the other, and the loops go over those of many rows at once:
// the exit of a loop over one row would be mispredicted.
class SharedRows {
 public:
  SharedRows(const SharedConcentration& shared, double* out);

  // Adds a row of K counts. The row must fit.
  template <class T>
  void push(std::size_t row, const T* x, std::ptrdiff_t x_stride) {
    const std::size_t n = first_[rows_];
    end_row(row, n + positive_counts(kernels_, x, x_stride, shared_.a.size(), category_.get() + n, count_.get() + n));
  }
  // Adds n_rows at most, which follow each other, of at most K stored counts each whose columns are in range. Returns
  // how many fitted.
  template <class T, class Index>
  std::size_t push_stored(std::size_t row, const T* values, std::ptrdiff_t value_stride, const Index* columns,
                          const Index* offsets, std::size_t n_rows) {
    look_up_pushed();
    const std::size_t begin = first_[rows_];
    std::size_t n = 0;
    for (; n < n_rows && fits(); ++n) end_row(row + n, begin + static_cast<std::size_t>(offsets[n + 1] - offsets[0]));
    look_up(values + static_cast<std::ptrdiff_t>(offsets[0]) * value_stride, value_stride, columns + offsets[0]);
    return n;
  }

  bool fits() const { return rows_ < lane_count && first_[rows_] + shared_.a.size() + 1 <= size_; }

  // Writes the values of the rows pushed; calls fallback(row) for those that the lookup cannot evaluate: bad counts,
  // concentrations out of range, terms that cancel.
  template <class Fallback>
  void flush(Fallback&& fallback) {
    evaluate();
    for (const std::size_t row : refused_) fallback(row);
    refused_.clear();
  }

 private:
  void end_row(std::size_t row, std::size_t end) {
    row_[rows_] = row;
    first_[++rows_] = end;
  }
  void evaluate();
  // The terms of the counts from n_looked_up_ to the last row's end.
  template <class T, class Index>
  void look_up(const T* values, std::ptrdiff_t value_stride, const Index* columns);
  void look_up_pushed() { look_up(count_.get() + n_looked_up_, 1, category_.get() + n_looked_up_); }
  void work_out();

  const SharedConcentration& shared_;
  double* out_;
  const LikelihoodKernels& kernels_;
  const Factorials& factorials_;
  std::size_t rows_ = 0;
  std::size_t row_[lane_count];
  std::size_t first_[lane_count + 1] = {};
  std::size_t size_;
  std::unique_ptr<std::uint64_t[]> count_;
  std::unique_ptr<double[]> term_;
  std::size_t n_looked_up_ = 0;
  std::uint64_t any_ = 0;  // the bits of all their counts
  // those that the table does not hold, side by side; category_ holds those of the counts to be looked up as well
  std::size_t n_beyond_ = 0;
  std::unique_ptr<std::uint32_t[]> category_, place_;
  std::unique_ptr<double[]> concentration_, large_count_, log_gamma_, value_;
  std::vector<std::size_t> refused_;
};

template <class T, class Index>
void SharedRows::look_up(const T* values, std::ptrdiff_t value_stride, const Index* columns) {
  const double* const table = shared_.table.get();
  const std::size_t k_n = shared_.a.size();
  const std::size_t width = shared_.width;
  const std::size_t n = first_[rows_] - n_looked_up_;
  double* const term = term_.get() + n_looked_up_;
  std::uint64_t* const count = count_.get() + n_looked_up_;
  std::size_t n_beyond = n_beyond_;
  std::uint64_t any = any_;
  for (std::size_t i = 0; i < n; ++i) {
    const auto x = static_cast<std::uint64_t>(values[static_cast<std::ptrdiff_t>(i) * value_stride]);
    const auto k = static_cast<std::uint32_t>(columns[i]);
    const std::uint64_t is_held = x < width ? 1 : 0;
    term[i] = table[(x & (0 - is_held)) * k_n + k];  // without a branch; a category's first entry is 0
    count[i] = x;
    any |= x;
    place_[n_beyond] =
        static_cast<std::uint32_t>(n_looked_up_ + i);  // overwritten by the next where the table holds it
    category_[n_beyond] = k;
    n_beyond += 1 - is_held;
  }
  n_beyond_ = n_beyond;
  any_ = any;
  n_looked_up_ += n;
}

}  // namespace hbm_fast
