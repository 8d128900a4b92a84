// The strategies of log_pmf, and when each is taken:
// - lookup (lookup.hpp): one concentration for all rows, 64 of them or more. The terms of small counts are tabulated
//   once.
// - two categories (kernels.hpp): 64 rows at a time, by products of at most 31 factors and no gather.
// - pure rows (products.hpp): all draws of one category, at most 63 of them, by products that lose no digit where the
//   pmf is near 1.
// - blocks (products.hpp): every other row. The non-zero counts of up to 64 rows go through one vector loop.
// - exact (exact.hpp): rows that the vector loops refuse, one at a time: concentrations outside 1e-70..1e70, terms that
//   cancel, long pure rows. Slower, without cancellation for every concentration.
// A row that a strategy refuses falls to the next: lookup, products (two categories, pure rows, blocks), exact.
#include "likelihood/log_pmf.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "likelihood/exact.hpp"
#include "likelihood/lookup.hpp"
#include "likelihood/products.hpp"
#include "likelihood/rows.hpp"

namespace hbm_fast {
namespace {

// The non-zero counts of one row, gathered.
struct GatheredRow {
  std::vector<double> counts;
  std::vector<double> concentration;
  std::size_t n = 0;
  std::uint64_t total = 0;
  double other_concentration = 0.0;
  double other_scaled = 0.0;

  explicit GatheredRow(std::size_t n_categories) : counts(n_categories), concentration(n_categories) {}

  Group group() const { return {counts.data(), concentration.data(), n, other_concentration, other_scaled}; }

  // A category without counts.
  void pass(double a) {
    other_concentration += a;
    other_scaled += a * concentration_scale;
  }

  template <class T>
  void push(T x, double a) {
    if (x == 0) {
      pass(a);
      return;
    }
    const auto value = static_cast<std::uint64_t>(x);
    RowBlocks::check_total(value, std::is_signed_v<T>);  // first: a sum of large ones may wrap
    total += value;
    RowBlocks::check_total(total, std::is_signed_v<T>);
    counts[n] = static_cast<double>(x);
    concentration[n] = a;
    ++n;
  }

  template <class T>
  void read(const T* x, std::ptrdiff_t x_stride, const double* a, std::ptrdiff_t a_stride, std::size_t n_categories) {
    RowBlocks::sum_of(a, a_stride, n_categories);  // checks the concentrations
    for (std::size_t k = 0; k < n_categories; ++k) {
      push(x[static_cast<std::ptrdiff_t>(k) * x_stride], a[static_cast<std::ptrdiff_t>(k) * a_stride]);
    }
  }
};

// The share of counts above 0, from some rows.
double positive_share(const Rows& rows) {
  const std::size_t k_n = rows.counts.n_categories;
  const std::size_t n_rows = std::min<std::size_t>(rows.size(), 16);
  std::size_t n_positive = 0;
  visit(rows.counts, [&](auto table) {
    for (std::size_t i = 0; i < n_rows; ++i) {
      const std::size_t row = rows.size() / n_rows * i;
      for_each_row(rows, row, row + 1, [&](std::size_t, std::ptrdiff_t x, std::ptrdiff_t) {
        for (std::size_t k = 0; k < k_n; ++k)
          n_positive += table.data[x + static_cast<std::ptrdiff_t>(k) * table.category_stride] != 0;
      });
    }
  });
  return static_cast<double>(n_positive) / static_cast<double>(std::max<std::size_t>(n_rows * k_n, 1));
}

// Rows of an array, as evaluate() reads them. T: the type of the counts.
template <class T>
class DenseSource {
 public:
  DenseSource(const Rows& rows, const TypedCounts<T>& counts)
      : rows_(rows),
        counts_(counts),
        counts_row_(rows.shape.empty() ? 0 : rows.counts_strides.back()),
        concentration_row_(rows.shape.empty() ? 0 : rows.concentration_strides.back()) {}

  std::size_t size() const { return rows_.size(); }
  std::size_t n_categories() const { return counts_.n_categories; }
  std::size_t chunk() const { return rows_per_chunk(size(), n_categories()); }
  void check(std::size_t, std::size_t) const {}  // the readers of the rows check them

  void read(std::size_t row, GatheredRow& to) const {
    for_each_run(rows_, row, row + 1, [&](std::size_t, std::size_t, std::ptrdiff_t x, std::ptrdiff_t a) {
      to.read(counts_.data + x, counts_.category_stride, rows_.concentration + a, rows_.concentration_category_stride,
              n_categories());
    });
  }

  template <class Exact>
  void push(RowBlocks& blocks, std::size_t begin, std::size_t end, const Exact& exact) const {
    for_each_run(rows_, begin, end, [&](std::size_t n, std::size_t length, std::ptrdiff_t x, std::ptrdiff_t a) {
      const RowRun<T> run{counts_.data + x,        counts_row_,        counts_.category_stride,
                          rows_.concentration + a, concentration_row_, rows_.concentration_category_stride};
      blocks.push(n, length, run, exact);
    });
  }

  template <class Fallback>
  void look_up(SharedRows& lookup, std::size_t begin, std::size_t end, const Fallback& fallback) const {
    for_each_row(rows_, begin, end, [&](std::size_t n, std::ptrdiff_t x, std::ptrdiff_t) {
      if (!lookup.fits()) lookup.flush(fallback);
      lookup.push(n, counts_.data + x, counts_.category_stride);
    });
    lookup.flush(fallback);
  }

 private:
  const Rows& rows_;
  TypedCounts<T> counts_;
  std::ptrdiff_t counts_row_, concentration_row_;
};

// The same of compressed sparse rows.
template <class T, class Index>
class SparseSource {
 public:
  // `shared_sum` belongs to the one concentration of all rows; null where each row has its own.
  SparseSource(const SparseRows<Index>& rows, const TypedCounts<T>& values, const SumMin* shared_sum)
      : rows_(rows), values_(values), shared_sum_(shared_sum) {}

  std::size_t size() const { return rows_.n_rows; }
  std::size_t n_categories() const { return rows_.n_categories; }
  std::size_t chunk() const { return 512; }

  void check(std::size_t begin, std::size_t end) const {
    const char* const message = "counts holds a column outside its shape";
    for (std::size_t n = begin; n < end; ++n) {
      if (n_stored(n) > n_categories()) throw std::invalid_argument(message);
    }
    Index smallest = 0;
    Index largest = -1;
    for (Index i = rows_.offsets[begin]; i < rows_.offsets[end]; ++i) {
      smallest = std::min(smallest, rows_.columns[i]);
      largest = std::max(largest, rows_.columns[i]);
    }
    if (smallest < 0 || (largest >= 0 && static_cast<std::size_t>(largest) >= n_categories()))
      throw std::invalid_argument(message);
  }

  void read(std::size_t row, GatheredRow& to) const {
    const double* const a = concentration(row);
    std::vector<bool> seen(n_categories(), false);
    for (std::size_t i = 0; i < n_stored(row); ++i) {
      const auto k = static_cast<std::size_t>(columns(row)[i]);
      to.push(values(row)[static_cast<std::ptrdiff_t>(i) * values_.category_stride], a[k]);
      seen[k] = true;
    }
    for (std::size_t k = 0; k < n_categories(); ++k) {
      if (!seen[k]) to.pass(a[k]);
    }
  }

  template <class Exact>
  void push(RowBlocks& blocks, std::size_t begin, std::size_t end, const Exact& exact) const {
    for (std::size_t n = begin; n < end; ++n) {
      const double* const a = concentration(n);
      blocks.push_stored(n, values(n), values_.category_stride, columns(n), n_stored(n), a,
                         shared_sum_ != nullptr ? *shared_sum_ : RowBlocks::sum_of(a, 1, n_categories()), exact);
    }
  }

  template <class Fallback>
  void look_up(SharedRows& lookup, std::size_t begin, std::size_t end, const Fallback& fallback) const {
    for (std::size_t n = begin; n < end;) {
      n += lookup.push_stored(n, values_.data, values_.category_stride, rows_.columns, rows_.offsets + n, end - n);
      lookup.flush(fallback);
    }
  }

 private:
  std::size_t n_stored(std::size_t n) const {
    return static_cast<std::size_t>(rows_.offsets[n + 1] - rows_.offsets[n]);
  }
  const T* values(std::size_t n) const {
    return values_.data + static_cast<std::ptrdiff_t>(rows_.offsets[n]) * values_.category_stride;
  }
  const Index* columns(std::size_t n) const { return rows_.columns + rows_.offsets[n]; }
  const double* concentration(std::size_t n) const {
    return rows_.concentration + static_cast<std::ptrdiff_t>(n) * rows_.concentration_row_stride;
  }

  const SparseRows<Index>& rows_;
  TypedCounts<T> values_;
  const SumMin* shared_sum_;
};

// The log pmf of every row of a source: by lookup where `shared` is given, else by products; by exact_log_pmf where
// these refuse a row.
template <class Source>
void evaluate(const Source& source, const std::optional<SharedConcentration>& shared, bool coefficient, double* out,
              int n_threads, const Poll& poll) {
  struct PerThread {  // kept from chunk to chunk
    std::optional<RowBlocks> blocks;
    std::optional<SharedRows> lookup;
  };
  const std::size_t k_n = source.n_categories();
  std::vector<PerThread> per_thread(threads_for(source.size(), source.chunk(), n_threads));
  const auto exact = [&](std::size_t row) {
    GatheredRow gathered(k_n);
    source.read(row, gathered);
    out[row] = exact_log_pmf(gathered.group(), coefficient);
  };
  parallel_for_threads(
      source.size(), source.chunk(), n_threads,
      [&](std::size_t thread, std::size_t begin, std::size_t end) {
        PerThread& local = per_thread[thread];
        source.check(begin, end);
        const auto by_products = [&](std::size_t first, std::size_t last) {
          if (!local.blocks) local.blocks.emplace(k_n, coefficient, out);
          source.push(*local.blocks, first, last, exact);
        };
        if (!shared) return by_products(begin, end);
        if (!local.lookup) local.lookup.emplace(*shared, out);
        source.look_up(*local.lookup, begin, end, [&](std::size_t row) { by_products(row, row + 1); });
      },
      poll);
  for (PerThread& local : per_thread) {
    if (local.blocks) local.blocks->flush(exact);
  }
}

}  // namespace

std::size_t Rows::size() const {
  std::size_t n = 1;
  for (const std::size_t s : shape) n *= s;
  return n;
}

void log_pmf(const Rows& rows, bool coefficient, double* out, int n_threads, const Poll& poll) {
  const std::size_t k_n = rows.counts.n_categories;
  const bool is_shared = k_n <= std::numeric_limits<std::uint32_t>::max() &&
                         std::all_of(rows.concentration_strides.begin(), rows.concentration_strides.end(),
                                     [](auto stride) { return stride == 0; });
  std::optional<SharedConcentration> shared;
  if (is_shared && rows.size() >= SharedConcentration::fewest_rows) {
    shared.emplace(rows.concentration, rows.concentration_category_stride, k_n, rows.size(),
                   positive_share(rows) * static_cast<double>(rows.size() * k_n), coefficient);
  }
  visit(rows.counts, [&]<class T>(const TypedCounts<T>& counts) {
    evaluate(DenseSource<T>(rows, counts), shared, coefficient, out, n_threads, poll);
  });
}

template <class Index>
void log_pmf(const SparseRows<Index>& rows, bool coefficient, double* out, int n_threads, const Poll& poll) {
  std::optional<SharedConcentration> shared;
  std::optional<SumMin> shared_sum;
  if (rows.concentration_row_stride == 0) {
    if (rows.n_rows >= SharedConcentration::fewest_rows) {
      shared.emplace(rows.concentration, 1, rows.n_categories, rows.n_rows,
                     static_cast<double>(rows.offsets[rows.n_rows] - rows.offsets[0]), coefficient);
    }
    shared_sum = shared ? shared->sum_min : RowBlocks::sum_of(rows.concentration, 1, rows.n_categories);
  }
  visit(rows.counts, [&]<class T>(const TypedCounts<T>& values) {
    const SparseSource<T, Index> source(rows, values, shared_sum ? &*shared_sum : nullptr);
    evaluate(source, shared, coefficient, out, n_threads, poll);
  });
}

template void log_pmf(const SparseRows<std::int32_t>&, bool, double*, int, const Poll&);
template void log_pmf(const SparseRows<std::int64_t>&, bool, double*, int, const Poll&);

void log_pmf_rows(const std::int64_t* counts, const double* concentration, std::int64_t n_rows,
                  std::int64_t n_categories, std::int64_t concentration_row_stride, std::int64_t coefficient,
                  double* out) noexcept {
  try {
    const auto k_n = static_cast<std::size_t>(n_categories);
    const Rows rows{{counts, CountType::int64, 0, k_n, 0, 1}, concentration,  1,
                    {static_cast<std::size_t>(n_rows)},       {n_categories}, {concentration_row_stride}};
    log_pmf(rows, coefficient != 0, out, 1, {});
  } catch (...) {
    std::fill(out, out + n_rows, std::numeric_limits<double>::quiet_NaN());
  }
}

double log_pmf_group(const std::int64_t* counts, const double* concentration, std::int64_t n_categories,
                     std::int64_t coefficient) noexcept {
  try {
    const auto k_n = static_cast<std::size_t>(n_categories);
    GatheredRow row(k_n);
    row.read(counts, 1, concentration, 1, k_n);
    return exact_log_pmf(row.group(), coefficient != 0);
  } catch (...) {
    return std::numeric_limits<double>::quiet_NaN();
  }
}

}  // namespace hbm_fast
