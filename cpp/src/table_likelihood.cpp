#include "hbm_fast/table_likelihood.hpp"

#include <cmath>
#include <vector>

#include "hbm_fast/cpu.hpp"

namespace hbm_fast {

using AddTable = void(const float*, std::size_t, double, const double*, double*, std::size_t);

#if HBM_FAST_X86_LEVELS
namespace v2 { AddTable add_table; }
namespace v3 { AddTable add_table; }
#else
namespace portable { AddTable add_table; }
#endif

namespace {

AddTable* add_table() {
#if HBM_FAST_X86_LEVELS
  switch (isa_level()) {
    case IsaLevel::v4:  // short tables gain nothing from wider vectors
    case IsaLevel::v3: return v3::add_table;
    default: return v2::add_table;
  }
#else
  return portable::add_table;
#endif
}

}  // namespace

void table_log_likelihood(const float* tables, std::size_t n_datasets, std::size_t n_categories, std::size_t max_total,
                          const double* log_alpha, const double* log_beta, std::size_t n_draws, double* out, int n_threads,
                          const Poll& poll) {
  AddTable* const add = add_table();
  // Few datasets of many draws are cut along the draws as well.
  constexpr std::size_t block = 256;
  const std::size_t blocks = (n_draws + block - 1) / block;
  parallel_for(n_datasets * blocks, 8, n_threads, [&](std::size_t begin, std::size_t end) {
    double a[block];
    double t[block];
    for (std::size_t item = begin; item < end; ++item) {
      const std::size_t b = item / blocks;
      const std::size_t first = item % blocks * block;
      const std::size_t size = n_draws - first < block ? n_draws - first : block;
      const float* table = tables + b * (n_categories + 1) * max_total;
      const float* totals = table + n_categories * max_total;
      const double* u = log_beta + (b * n_draws + first) * n_categories;
      double* value = out + b * n_draws + first;
      for (std::size_t s = 0; s < size; ++s) {
        // beyond exp(70) the likelihood is the multinomial's to the last bit, and products of eight stay finite
        t[s] = log_alpha[b * n_draws + first + s] < 70.0 ? log_alpha[b * n_draws + first + s] : 70.0;
        a[s] = std::exp(t[s]);
        value[s] = max_total > 0 ? -static_cast<double>(totals[0]) * t[s] : 0.0;
      }
      add(totals, max_total, -1.0, a, value, size);
      for (std::size_t k = 0; k < n_categories; ++k) {
        const float* row = table + k * max_total;
        if (max_total == 0 || row[0] == 0.0f) continue;
        for (std::size_t s = 0; s < size; ++s) {
          const double log_a = t[s] + u[s * n_categories + k];
          a[s] = std::exp(log_a);
          value[s] += static_cast<double>(row[0]) * log_a;
        }
        add(row, max_total, 1.0, a, value, size);
      }
    }
  }, poll);
}

}  // namespace hbm_fast
