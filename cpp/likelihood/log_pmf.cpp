#include "likelihood/log_pmf.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <type_traits>

#include "likelihood/exact.hpp"
#include "likelihood/lookup.hpp"
#include "likelihood/products.hpp"
#include "likelihood/rows.hpp"

namespace hbm_fast {
namespace {

double checked_concentration(double a) {
  if (!(a >= 0.0 && a <= std::numeric_limits<double>::max())) {
    throw std::invalid_argument("concentration must be non-negative and finite");
  }
  return a;
}

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
    if constexpr (std::is_signed_v<T>) {
      if (x < 0) throw std::invalid_argument("counts must not be negative");
    }
    if (x == 0) {
      pass(a);
      return;
    }
    total += static_cast<std::uint64_t>(x);
    if (static_cast<std::uint64_t>(x) > largest_row_total || total > largest_row_total) {
      throw std::invalid_argument("a total of counts exceeds 2**53");
    }
    counts[n] = static_cast<double>(x);
    concentration[n] = a;
    ++n;
  }

  template <class T>
  void read(const T* x, std::ptrdiff_t x_stride, const double* a, std::ptrdiff_t a_stride, std::size_t n_categories) {
    n = 0;
    total = 0;
    other_concentration = other_scaled = 0.0;
    for (std::size_t k = 0; k < n_categories; ++k) {
      push(x[static_cast<std::ptrdiff_t>(k) * x_stride],
           checked_concentration(a[static_cast<std::ptrdiff_t>(k) * a_stride]));
    }
  }
};

// What a thread keeps from chunk to chunk.
struct ThreadRows {
  std::optional<RowBlocks> blocks;
  std::optional<SharedRows> lookups;

  // Writes the values of the rows that are still in blocks.
  template <class Careful>
  void flush(const Careful& careful) {
    if (blocks) blocks->flush(careful);
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

}  // namespace

std::size_t Rows::size() const {
  std::size_t n = 1;
  for (const std::size_t s : shape) n *= s;
  return n;
}

void log_pmf(const Rows& rows, bool coefficient, double* out, int n_threads, const Poll& poll) {
  const std::size_t k_n = rows.counts.n_categories;
  const std::ptrdiff_t a_stride = rows.concentration_category_stride;
  const std::ptrdiff_t x_row = rows.shape.empty() ? 0 : rows.counts_strides.back();
  const std::ptrdiff_t a_row = rows.shape.empty() ? 0 : rows.concentration_strides.back();
  const bool is_shared = k_n <= std::numeric_limits<std::uint32_t>::max() &&
                         std::all_of(rows.concentration_strides.begin(), rows.concentration_strides.end(),
                                     [](auto stride) { return stride == 0; });
  std::optional<SharedConcentration> shared;
  if (is_shared && rows.size() >= SharedConcentration::fewest_rows) {
    shared.emplace(rows.concentration, a_stride, k_n, rows.size(),
                   positive_share(rows) * static_cast<double>(rows.size() * k_n), coefficient);
  }
  visit(rows.counts, [&](auto table) {
    using Count = std::remove_const_t<std::remove_pointer_t<decltype(table.data)>>;
    const std::size_t chunk = rows_per_chunk(rows.size(), k_n);
    std::vector<ThreadRows> of_thread(threads_for(rows.size(), chunk, n_threads));
    const auto careful = [&](std::size_t row) {
      GatheredRow gathered(k_n);
      for_each_run(rows, row, row + 1, [&](std::size_t n, std::size_t, std::ptrdiff_t x, std::ptrdiff_t a) {
        gathered.read(table.data + x, table.category_stride, rows.concentration + a, a_stride, k_n);
        out[n] = careful_log_pmf(gathered.group(), coefficient);
      });
    };
    parallel_for_threads(
        rows.size(), chunk, n_threads,
        [&](std::size_t thread, std::size_t begin, std::size_t end) {
          ThreadRows& own = of_thread[thread];
          const auto blocks = [&]() -> RowBlocks& {
            return own.blocks ? *own.blocks : own.blocks.emplace(k_n, coefficient, out);
          };
          const auto run_at = [&](std::ptrdiff_t x, std::ptrdiff_t a) {
            return RowRun<Count>{table.data + x, x_row, table.category_stride, rows.concentration + a, a_row, a_stride};
          };
          if (!shared) {
            for_each_run(rows, begin, end, [&](std::size_t n, std::size_t length, std::ptrdiff_t x, std::ptrdiff_t a) {
              blocks().push(n, length, run_at(x, a), careful);
            });
          } else {
            SharedRows& lookups = own.lookups ? *own.lookups : own.lookups.emplace(*shared, out);
            const auto otherwise = [&](std::size_t row) {
              for_each_run(rows, row, row + 1, [&](std::size_t n, std::size_t, std::ptrdiff_t x, std::ptrdiff_t a) {
                blocks().push(n, 1, run_at(x, a), careful);
              });
            };
            for_each_run(rows, begin, end, [&](std::size_t n, std::size_t length, std::ptrdiff_t x, std::ptrdiff_t) {
              for (std::size_t i = 0; i < length; ++i, x += x_row) {
                if (!lookups.has_room()) lookups.flush(otherwise);
                lookups.push(n + i, table.data + x, table.category_stride);
              }
            });
            lookups.flush(otherwise);
          }
        },
        poll);
    for (ThreadRows& own : of_thread) own.flush(careful);
  });
}

namespace {

template <class Index>
void check_columns(const SparseRows<Index>& rows, std::size_t begin, std::size_t end) {
  const char* const message = "counts holds a column outside its shape";
  for (std::size_t n = begin; n < end; ++n) {
    if (static_cast<std::size_t>(rows.offsets[n + 1] - rows.offsets[n]) > rows.n_categories)
      throw std::invalid_argument(message);
  }
  Index smallest = 0;
  Index largest = -1;
  for (Index i = rows.offsets[begin]; i < rows.offsets[end]; ++i) {
    smallest = std::min(smallest, rows.columns[i]);
    largest = std::max(largest, rows.columns[i]);
  }
  if (smallest < 0 || (largest >= 0 && static_cast<std::size_t>(largest) >= rows.n_categories))
    throw std::invalid_argument(message);
}

template <class Index>
void sparse_log_pmf(const SparseRows<Index>& rows, bool coefficient, double* out, int n_threads, const Poll& poll) {
  const std::size_t k_n = rows.n_categories;
  const bool shared = rows.concentration_row_stride == 0;
  std::optional<SharedConcentration> table_of_all;
  if (shared && rows.n_rows >= SharedConcentration::fewest_rows) {
    table_of_all.emplace(rows.concentration, 1, k_n, rows.n_rows,
                         static_cast<double>(rows.offsets[rows.n_rows] - rows.offsets[0]), coefficient);
  }
  SumAndSmallest shared_sum{};
  if (shared) shared_sum = table_of_all ? table_of_all->of_all : RowBlocks::sum_of(rows.concentration, 1, k_n);
  visit(rows.counts, [&](auto table) {
    constexpr std::size_t chunk = 512;
    std::vector<ThreadRows> of_thread(threads_for(rows.n_rows, chunk, n_threads));
    const auto concentration = [&](std::size_t n) {
      return rows.concentration + static_cast<std::ptrdiff_t>(n) * rows.concentration_row_stride;
    };
    const auto careful = [&](std::size_t n) {
      const double* const a = concentration(n);
      GatheredRow row(k_n);
      std::vector<bool> seen(k_n, false);
      for (Index i = rows.offsets[n]; i < rows.offsets[n + 1]; ++i) {
        const auto k = static_cast<std::size_t>(rows.columns[i]);
        const auto x = table.data[static_cast<std::ptrdiff_t>(i) * table.category_stride];
        row.push(x, a[k]);
        seen[k] = true;
      }
      for (std::size_t k = 0; k < k_n; ++k) {
        if (!seen[k]) row.pass(a[k]);
      }
      out[n] = careful_log_pmf(row.group(), coefficient);
    };
    parallel_for_threads(
        rows.n_rows, chunk, n_threads,
        [&](std::size_t thread, std::size_t begin, std::size_t end) {
          ThreadRows& own = of_thread[thread];
          const auto blocks = [&]() -> RowBlocks& {
            return own.blocks ? *own.blocks : own.blocks.emplace(k_n, coefficient, out);
          };
          check_columns(rows, begin, end);
          const auto stored = [&](std::size_t n) {
            return static_cast<std::size_t>(rows.offsets[n + 1] - rows.offsets[n]);
          };
          const auto values = [&](std::size_t n) {
            return table.data + static_cast<std::ptrdiff_t>(rows.offsets[n]) * table.category_stride;
          };
          const auto one = [&](std::size_t n) {
            const double* const a = concentration(n);
            blocks().push_stored(n, values(n), table.category_stride, rows.columns + rows.offsets[n], stored(n), a,
                                 shared ? shared_sum : RowBlocks::sum_of(a, 1, k_n), careful);
          };
          if (table_of_all) {
            SharedRows& lookups = own.lookups ? *own.lookups : own.lookups.emplace(*table_of_all, out);
            for (std::size_t n = begin; n < end;) {
              n += lookups.push_stored(n, table.data, table.category_stride, rows.columns, rows.offsets + n, end - n);
              lookups.flush(one);
            }
          } else {
            for (std::size_t n = begin; n < end; ++n) one(n);
          }
        },
        poll);
    for (ThreadRows& own : of_thread) own.flush(careful);
  });
}

}  // namespace

void log_pmf(const SparseRows<std::int32_t>& rows, bool coefficient, double* out, int n_threads, const Poll& poll) {
  sparse_log_pmf(rows, coefficient, out, n_threads, poll);
}

void log_pmf(const SparseRows<std::int64_t>& rows, bool coefficient, double* out, int n_threads, const Poll& poll) {
  sparse_log_pmf(rows, coefficient, out, n_threads, poll);
}

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
    return careful_log_pmf(row.group(), coefficient != 0);
  } catch (...) {
    return std::numeric_limits<double>::quiet_NaN();
  }
}

}  // namespace hbm_fast
