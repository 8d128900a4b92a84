#include "mixture/count_slots.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "core/limits.hpp"
#include "math/special.hpp"
#include "math/sum.hpp"

namespace hbm_fast {
namespace {

void hash_in(Key& hash, std::uint64_t word) {
  hash.high = mix(hash.high ^ word) + 0x9E3779B97F4A7C15u;
  hash.low = mix(hash.low + word) ^ hash.high;
}

}  // namespace

CountSlots::CountSlots(const SparseCounts& counts, const Poll& poll) : n_categories(counts.n_categories) {
  TimedPoll timed_poll(poll);
  std::vector<std::uint64_t> rows;
  std::vector<double> totals;
  std::vector<std::vector<double>> of_category(n_categories);
  for (std::size_t n = 0; n < counts.n_rows; ++n) {
    if (n % items_per_poll == 0) timed_poll();
    double total = 0.0;
    const bool counted = counts.weights == nullptr || counts.weights[n] > 0.0;
    for (auto i = counts.offsets[n]; counted && i < counts.offsets[n + 1]; ++i) {
      const auto value = static_cast<double>(counts.values[i]);
      if (value > 0.0) of_category[static_cast<std::size_t>(counts.columns[i])].push_back(value);
      total += value;
    }
    if (total > 0.0) {
      rows.push_back(n);
      totals.push_back(total);
    }
  }
  const auto make_distinct = [](std::vector<double>& v) {
    std::sort(v.begin(), v.end());
    v.erase(std::unique(v.begin(), v.end()), v.end());
  };
  category_begin.assign(1, 0);
  for (std::size_t k = 0; k < n_categories; ++k) {
    timed_poll();
    make_distinct(of_category[k]);
    values.insert(values.end(), of_category[k].begin(), of_category[k].end());
    slot_category.insert(slot_category.end(), of_category[k].size(), static_cast<std::uint32_t>(k));
    category_begin.push_back(values.size());
    std::vector<double>().swap(of_category[k]);
  }
  total_values = totals;
  make_distinct(total_values);

  std::vector<std::size_t> begin{0};
  std::vector<std::uint32_t> list;
  for (const std::uint64_t n : rows) {
    if (n % items_per_poll == 0) timed_poll();
    for (auto i = counts.offsets[n]; i < counts.offsets[n + 1]; ++i) {
      if (counts.values[i] == 0) continue;
      const auto k = static_cast<std::size_t>(counts.columns[i]);
      const auto first = values.begin() + static_cast<std::ptrdiff_t>(category_begin[k]);
      const auto last = values.begin() + static_cast<std::ptrdiff_t>(category_begin[k + 1]);
      const auto at = std::lower_bound(first, last, static_cast<double>(counts.values[i]));
      list.push_back(static_cast<std::uint32_t>(at - values.begin()));
    }
    begin.push_back(list.size());
  }
  const auto weight_of = [&](std::size_t i) { return counts.weights == nullptr ? 1.0 : counts.weights[rows[i]]; };
  std::vector<std::size_t> sorted(rows.size());
  std::iota(sorted.begin(), sorted.end(), std::size_t{0});
  const auto at = [&](std::size_t i) { return list.begin() + static_cast<std::ptrdiff_t>(begin[i]); };
  std::stable_sort(sorted.begin(), sorted.end(), [&](std::size_t i, std::size_t j) {
    const auto order_of = std::lexicographical_compare_three_way(at(i), at(i + 1), at(j), at(j + 1));
    return order_of < 0 || (order_of == 0 && weight_of(i) < weight_of(j));
  });
  timed_poll();

  group_begin.assign(1, 0);
  slots.reserve(list.size());
  ExactSum coefficient;
  std::vector<double> log_factorials(values.size());
  for (std::size_t s = 0; s < values.size(); ++s) log_factorials[s] = log_factorial(values[s]);
  for (const std::size_t i : sorted) {
    const double weight = weight_of(i);
    hash_in(hash, std::bit_cast<std::uint64_t>(weight));
    double of_group = log_factorial(totals[i]);
    for (auto s = at(i); s != at(i + 1); ++s) {
      slots.push_back(*s);
      hash_in(hash, slot_category[*s]);
      hash_in(hash, std::bit_cast<std::uint64_t>(values[*s]));
      of_group -= log_factorials[*s];
    }
    coefficient.add(weight * of_group);
    group_begin.push_back(slots.size());
    const auto total = std::lower_bound(total_values.begin(), total_values.end(), totals[i]);
    total_slot.push_back(static_cast<std::uint32_t>(total - total_values.begin()));
    weights.push_back(weight);
    sum_of_weights += weight;
    order.push_back(rows[i]);
  }
  log_coefficient = coefficient.high + coefficient.low;
}

}  // namespace hbm_fast
