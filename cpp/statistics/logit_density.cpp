#include "statistics/logit_density.hpp"

#include <algorithm>

#include "statistics/logit_density_kernels.hpp"

namespace hbm_fast {

void logit_density(const double* tables, std::size_t max_total, const double* concentration, const double* t,
                   const double* u, std::size_t n, double* value, double* slope, int n_threads, const Poll& poll) {
  LogitKernel& block = logit_block();
  const std::size_t chunk =
      64 * std::clamp<std::size_t>(65536 / std::max<std::size_t>(max_total, 1), 1, 16);  // 64 points at a time
  parallel_for(
      n, chunk, n_threads,
      [&](std::size_t begin, std::size_t end) {
        block(tables, max_total, concentration, t + begin, u + begin, end - begin, value + begin,
              slope ? slope + begin : nullptr);
      },
      poll);
}

}  // namespace hbm_fast
