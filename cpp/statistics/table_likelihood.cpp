#include "statistics/table_likelihood.hpp"

#include <algorithm>

#include "statistics/table_likelihood_kernels.hpp"

namespace hbm_fast {

void table_log_likelihood(const float* tables, std::size_t n_datasets, std::size_t n_categories, std::size_t max_total,
                          const double* log_alpha, const double* log_beta, std::size_t n_draws, double* out,
                          int n_threads, const Poll& poll) {
  TableKernel& block = table_block();
  // Few datasets of many draws are cut along the draws as well.
  const std::size_t blocks = (n_draws + table_block_size - 1) / table_block_size;
  parallel_for(
      n_datasets * blocks, 8, n_threads,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t item = begin; item < end; ++item) {
          const std::size_t b = item / blocks;
          const std::size_t within = item % blocks * table_block_size;
          const std::size_t first = b * n_draws + within;
          block(tables + b * (n_categories + 1) * max_total, n_categories, max_total, log_alpha + first,
                log_beta + first * n_categories, std::min(table_block_size, n_draws - within), out + first);
        }
      },
      poll);
}

}  // namespace hbm_fast
