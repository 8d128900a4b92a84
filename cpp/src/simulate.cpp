#include "hbm_fast/simulate.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "hbm_fast/cpu.hpp"
#include "hbm_fast/variates.hpp"
#include "simulate_kernels.hpp"
#include "simulate_worker.hpp"

namespace hbm_fast {

const SimulateKernels& simulate_kernels() {
#if HBM_FAST_X86_LEVELS
  switch (isa_level()) {
    case IsaLevel::v4: return v4::simulate_kernels;
    case IsaLevel::v3: return v3::simulate_kernels;
    default: return v2::simulate_kernels;
  }
#else
  return portable::simulate_kernels;
#endif
}

void simulate(const SimulationRequest& request, const SimulationArrays& arrays, int n_threads, const Poll& poll) {
  // About 4,000 groups a chunk, and tallies that stay in the cache. Few large datasets are dealt out in smaller chunks, since
  // some take much longer than others.
  const std::size_t table = arrays.statistics ? (request.n_categories + 1) * (arrays.max_total + 1) : 1;
  const std::size_t groups = std::max<std::size_t>(request.max_groups, 1);
  const auto threads = static_cast<std::size_t>(std::max(n_threads, 1));
  const auto part = [&](std::size_t n) { return (request.n_datasets + n - 1) / n; };
  const std::size_t worth_a_chunk = 32768 / (groups * request.n_categories);
  const std::size_t fair = std::min(part(threads), std::max(part(8 * threads), worth_a_chunk));
  const std::size_t chunk = std::clamp<std::size_t>(std::min({4096 / groups, 16384 / table, fair}), 1, 256);
  const CountsView type_only{nullptr, arrays.count_type, 0, request.n_categories, 0, 0};
  visit(type_only, [&]<class T>(const TypedCounts<T>&) {
    std::vector<std::optional<SimulationWorker<T>>> workers(threads_for(request.n_datasets, chunk, n_threads));
    parallel_for_threads(request.n_datasets, chunk, n_threads, [&](std::size_t thread, std::size_t begin, std::size_t end) {
      std::optional<SimulationWorker<T>>& own = workers[thread];
      (own ? *own : own.emplace(request, arrays)).run(begin, end);
    }, poll);
  });
}

}  // namespace hbm_fast
