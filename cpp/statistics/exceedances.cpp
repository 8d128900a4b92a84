#include "statistics/exceedances.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/limits.hpp"

namespace hbm_fast {
namespace {

// Returns the largest total; the tallies are valid up to max_total.
template <class T>
std::uint64_t one_dataset(const TypedCounts<T>& counts, std::size_t max_total, std::vector<std::int32_t>& tallies,
                          float* out, TimedPoll& poll) {
  const std::size_t width = max_total + 1;
  const std::size_t k_count = counts.n_categories;
  std::fill(tallies.begin(), tallies.end(), 0);
  for (std::size_t n = 0; n < counts.n_rows; ++n) {
    if (n % items_per_poll == items_per_poll - 1) poll();
    std::uint64_t total = 0;
    for (std::size_t k = 0; k < k_count; ++k) {
      const auto x = static_cast<std::uint64_t>(counts.at(n, k));
      total += x;
      if (x > max_total || total > max_total) return std::max(x, total);
      ++tallies[k * width + x];
    }
    ++tallies[k_count * width + total];
  }
  for (std::size_t r = 0; r <= k_count; ++r) exceedances_of(tallies.data() + r * width, max_total, out + r * max_total);
  return 0;
}

}  // namespace

void exceedance_counts(const CountsBatch& counts, std::size_t max_total, float* out, int n_threads, const Poll& poll) {
  const std::size_t rows = counts.first.n_categories + 1;
  const std::size_t per_dataset = std::max<std::size_t>(counts.first.n_rows * counts.first.n_categories, 1);
  const std::size_t chunk = std::clamp<std::size_t>(65536 / per_dataset, 1, 1024);
  TimedPoll timed_poll(poll);
  visit(counts.first, [&](auto table) {
    parallel_for(
        counts.n_datasets, chunk, n_threads,
        [&](std::size_t begin, std::size_t end) {
          std::vector<std::int32_t> tallies(rows * (max_total + 1));
          for (std::size_t b = begin; b < end; ++b) {
            auto dataset = table;
            dataset.data += static_cast<std::ptrdiff_t>(b) * counts.dataset_stride;
            const std::uint64_t excess =
                one_dataset(dataset, max_total, tallies, out + b * rows * max_total, timed_poll);
            if (excess > 0) {
              throw std::invalid_argument("a total of " + std::to_string(excess) + " in dataset " + std::to_string(b) +
                                          " exceeds max_total = " + std::to_string(max_total));
            }
          }
        },
        [&] { timed_poll(); });
  });
}

}  // namespace hbm_fast
