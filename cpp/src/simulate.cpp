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
  // About 2,000 groups a chunk, and tallies that stay in the cache.
  const std::size_t table = arrays.statistics ? (request.n_categories + 1) * (arrays.max_total + 1) : 1;
  const std::size_t groups = std::max<std::size_t>(request.max_groups, 1);
  const std::size_t chunk = std::clamp<std::size_t>(std::min<std::size_t>(4096 / groups, 32768 / table), 1, 256);
  const CountsView type_only{nullptr, arrays.count_type, 0, request.n_categories, 0, 0};
  visit(type_only, [&]<class T>(const TypedCounts<T>&) {
    parallel_for(request.n_datasets, chunk, n_threads, [&](std::size_t begin, std::size_t end) {
      SimulationWorker<T>(request, arrays, begin, end).run();
    }, poll);
  });
}

}  // namespace hbm_fast
