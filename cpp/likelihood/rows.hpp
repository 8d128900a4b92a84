// Rows of a broadcast table, in order.
#pragma once

#include <algorithm>
#include <cstddef>

#include "likelihood/log_pmf.hpp"
#include "likelihood/products.hpp"

namespace hbm_fast {

// Calls body(first row, number, counts offset, concentration offset) for stretches of rows [begin, end) along the last
// leading axis.
template <class Body>
void for_each_run(const Rows& rows, std::size_t begin, std::size_t end, Body&& body) {
  const std::size_t axes = rows.shape.size();
  for (std::size_t n = begin; n < end;) {
    std::ptrdiff_t x = 0;
    std::ptrdiff_t a = 0;
    std::size_t rest = n;
    for (std::size_t d = axes; d-- > 0;) {
      const auto index = static_cast<std::ptrdiff_t>(rest % rows.shape[d]);
      rest /= rows.shape[d];
      x += index * rows.counts_strides[d];
      a += index * rows.concentration_strides[d];
    }
    const std::size_t length = axes == 0 ? 1 : std::min(end - n, rows.shape.back() - n % rows.shape.back());
    body(n, length, x, a);
    n += length;
  }
}

template <class Body>
void for_each_row(const Rows& rows, std::size_t begin, std::size_t end, Body&& body) {
  const std::ptrdiff_t x_row = rows.shape.empty() ? 0 : rows.counts_strides.back();
  const std::ptrdiff_t a_row = rows.shape.empty() ? 0 : rows.concentration_strides.back();
  for_each_run(rows, begin, end, [&](std::size_t n, std::size_t length, std::ptrdiff_t x, std::ptrdiff_t a) {
    for (std::size_t i = 0; i < length; ++i, x += x_row, a += a_row) body(n + i, x, a);
  });
}

// A chunk sets up its blocks, so it should not be small; it depends on the shape alone, never on the threads.
inline std::size_t rows_per_chunk(std::size_t n_rows, std::size_t n_categories) {
  constexpr std::size_t elements = 4096;
  const std::size_t least = std::min(lane_count, n_rows / 16 + 1);
  return std::max(least, elements / std::max<std::size_t>(n_categories, 1));
}

}  // namespace hbm_fast
