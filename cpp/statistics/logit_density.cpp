#include "statistics/logit_density.hpp"

#include <algorithm>

#include "core/isa.hpp"

namespace hbm_fast {

using LogitBlock = void(const double*, std::size_t, const double*, const double*, const double*, std::size_t, double*,
                        double*);

#if HBM_FAST_X86_LEVELS
namespace v2 {
LogitBlock logit_block;
}
namespace v3 {
LogitBlock logit_block;
}
namespace v4 {
LogitBlock logit_block;
}
#else
namespace portable {
LogitBlock logit_block;
}
#endif

namespace {

LogitBlock* logit_block() {
#if HBM_FAST_X86_LEVELS
  switch (isa_level()) {
    case IsaLevel::v4: return v4::logit_block;
    case IsaLevel::v3: return v3::logit_block;
    default: return v2::logit_block;
  }
#else
  return portable::logit_block;
#endif
}

}  // namespace

void logit_density(const double* tables, std::size_t max_total, const double* concentration, const double* t,
                   const double* u, std::size_t n, double* value, double* slope, int n_threads, const Poll& poll) {
  LogitBlock* const block = logit_block();
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
