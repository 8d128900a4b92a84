#include "simulation/simulate.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/limits.hpp"
#include "simulation/worker.hpp"

namespace hbm_fast {
namespace {

// Groups and totals index arrays and tallies.
void check_source(const IntegerSource& source, std::size_t n_datasets, std::size_t n_groups, std::int64_t largest,
                  const char* name) {
  const auto check = [&](std::int64_t value) {
    if (value < 0 || value > largest) {
      throw std::invalid_argument(std::string(name) + " must be from 0 to " + std::to_string(largest) + "; got " +
                                  std::to_string(value));
    }
  };
  if (source.values == nullptr) {
    check(source.low);
    check(source.high);
    return;
  }
  for (std::size_t b = 0; b < (source.dataset_stride == 0 ? std::min<std::size_t>(n_datasets, 1) : n_datasets); ++b) {
    for (std::size_t g = 0; g < n_groups; ++g) check(source.given(b, g));
  }
}

std::int64_t largest_count(CountType type) {
  return visit(CountsView{nullptr, type, 0, 0, 0, 0}, []<class T>(const TypedCounts<T>&) {
    return static_cast<std::int64_t>(
        std::min<std::uint64_t>(std::numeric_limits<T>::max(), std::numeric_limits<std::int64_t>::max()));
  });
}

void check(const SimulationRequest& request, const SimulationArrays& arrays) {
  constexpr std::size_t most_groups = std::numeric_limits<std::int32_t>::max();
  if (request.n_categories == 0) throw std::invalid_argument("there must be at least one category");
  if (request.max_groups > most_groups)
    throw std::invalid_argument("max_groups must be at most " + std::to_string(most_groups));
  if (request.n_datasets > 0 && request.first > std::numeric_limits<std::uint64_t>::max() - (request.n_datasets - 1)) {
    throw std::invalid_argument("first + n_datasets must be at most 2**64");
  }
  std::int64_t largest = largest_simulated_total;
  if (arrays.counts != nullptr) largest = std::min(largest, largest_count(arrays.count_type));
  if (arrays.statistics != nullptr && arrays.max_total < static_cast<std::size_t>(largest))
    largest = static_cast<std::int64_t>(arrays.max_total);
  check_source(request.n_groups, request.n_datasets, 1, static_cast<std::int64_t>(request.max_groups), "n_groups");
  check_source(request.totals, request.n_datasets, request.max_groups, largest, "totals");
}

}  // namespace

void simulate(const SimulationRequest& request, const SimulationArrays& arrays, int n_threads, const Poll& poll) {
  check(request, arrays);
  // About 4,000 groups a chunk, and tallies that stay in the cache. Few large datasets are dealt out in smaller chunks,
  // since some take much longer than others.
  const std::size_t table = arrays.statistics ? (request.n_categories + 1) * (arrays.max_total + 1) : 1;
  const std::size_t groups = std::max<std::size_t>(request.max_groups, 1);
  const auto threads = static_cast<std::size_t>(std::max(n_threads, 1));
  const auto part = [&](std::size_t n) { return (request.n_datasets + n - 1) / n; };
  const std::size_t worth_a_chunk = 32768 / (groups * request.n_categories);
  const std::size_t fair = std::min(part(threads), std::max(part(8 * threads), worth_a_chunk));
  const std::size_t chunk = std::clamp<std::size_t>(std::min({4096 / groups, 16384 / table, fair}), 1, 256);
  TimedPoll timed_poll(poll);
  std::vector<std::optional<SimulationWorker>> workers(threads_for(request.n_datasets, chunk, n_threads));
  parallel_for_threads(
      request.n_datasets, chunk, n_threads,
      [&](std::size_t thread, std::size_t begin, std::size_t end) {
        std::optional<SimulationWorker>& worker = workers[thread];
        if (!worker) worker.emplace(request, arrays, timed_poll);
        worker->run(begin, end);
      },
      [&] { timed_poll(); });
}

}  // namespace hbm_fast
