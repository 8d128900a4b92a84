#include "hbm_fast/simulate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
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
  // About 4,000 groups a chunk, and tallies that stay in the cache; a worker goes through up to 64 chunks. Few large datasets
  // are dealt out in smaller chunks, since some take much longer than others.
  const std::size_t table = arrays.statistics ? (request.n_categories + 1) * (arrays.max_total + 1) : 1;
  const std::size_t groups = std::max<std::size_t>(request.max_groups, 1);
  const auto threads = static_cast<std::size_t>(std::max(n_threads, 1));
  const auto part = [&](std::size_t n) { return (request.n_datasets + n - 1) / n; };
  const std::size_t share = part(8 * threads);
  const std::size_t worth_a_job = 32768 / (groups * request.n_categories);
  const std::size_t fair = std::min(part(threads), std::max(share, worth_a_job));
  const std::size_t chunk = std::clamp<std::size_t>(std::min({4096 / groups, 16384 / table, fair}), 1, 256);
  const std::size_t job = std::clamp<std::size_t>(share / chunk, 1, 64) * chunk;
  const CountsView type_only{nullptr, arrays.count_type, 0, request.n_categories, 0, 0};
  visit(type_only, [&]<class T>(const TypedCounts<T>&) {
    parallel_for(request.n_datasets, job, n_threads, [&](std::size_t begin, std::size_t end) {
      SimulationWorker<T> worker(request, arrays);
      for (std::size_t at = begin; at < end; at += chunk) worker.run(at, std::min(at + chunk, end));
    }, poll);
  });
}

}  // namespace hbm_fast
