// A table of counts as lists of slots. A slot is a distinct positive count of a category: what depends on a category's
// concentration and a count alone is computed once a slot, however many groups have it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/parallel.hpp"
#include "core/stream.hpp"

namespace hbm_fast {

// Compressed sparse rows with the columns of a row ascending; `weights` (N,) are the rows' multiplicities, or null.
struct SparseCounts {
  const std::int64_t* values;
  const std::int64_t* columns;
  const std::int64_t* offsets;
  std::size_t n_rows;
  std::size_t n_categories;
  const double* weights;
};

// Rows without a count, or with weight 0, are left out. The others are sorted, so that nothing that is computed from
// the slots depends on the order of the rows.
struct CountSlots {
  CountSlots(const SparseCounts& counts, const Poll& poll);

  std::size_t n_groups() const { return order.size(); }
  std::size_t n_slots() const { return values.size(); }

  std::size_t n_categories;
  std::vector<std::size_t> category_begin;   // (K + 1) first slot of each category
  std::vector<double> values;                // (U) ascending within a category
  std::vector<std::uint32_t> slot_category;  // (U)
  std::vector<std::size_t> group_begin;      // (N + 1) into slots
  std::vector<std::uint32_t> slots;          // those of each group, ascending
  std::vector<double> total_values;          // distinct totals, ascending
  std::vector<std::uint32_t> total_slot;     // (N)
  std::vector<double> weights;               // (N)
  std::vector<std::uint64_t> order;          // (N) the row of each group
  double sum_of_weights = 0.0;
  double log_coefficient = 0.0;  // sum of the logs of the multinomial coefficients
  Key hash{};                    // of the sorted groups
};

}  // namespace hbm_fast
