#include "networks/gaussian_mixture.hpp"

#include <algorithm>
#include <vector>

#include "networks/gaussian_mixture_kernels.hpp"

namespace hbm_fast {

namespace {

constexpr std::size_t width = lane_count;

// body(begin, end, blocks) on items b * blocks + i: block i of dataset b's draws, so that few datasets of many draws
// are shared among threads too.
template <class Body>
void for_blocks(std::size_t n_datasets, std::size_t n_draws, int n_threads, const Poll& poll, const Body& body) {
  const std::size_t blocks = (n_draws + width - 1) / width;
  parallel_for(
      n_datasets * blocks, 32, n_threads, [&](std::size_t begin, std::size_t end) { body(begin, end, blocks); }, poll);
}

}  // namespace

void mixture_log_density(const MixtureView& mixture, const float* constant, const float* scale, const float* z,
                         std::size_t n_draws, double* out, int n_threads, const Poll& poll) {
  MixtureKernel& density = mixture_block();
  const std::size_t c = mixture.n_components;
  const std::size_t d = mixture.dim;
  for_blocks(mixture.n_datasets, n_draws, n_threads, poll, [&](std::size_t begin, std::size_t end, std::size_t blocks) {
    std::vector<double> scratch((c + 2 * d) * width);
    for (std::size_t item = begin; item < end; ++item) {
      const std::size_t b = item / blocks;
      const std::size_t first = item % blocks * width;
      const MixtureBlock one{c,
                             d,
                             mixture.n_lower,
                             mixture.mean + b * c * d,
                             mixture.lower + b * c * mixture.n_lower,
                             constant + b * c,
                             scale + b * c * d};
      density(one, z + (b * n_draws + first) * d, std::min(width, n_draws - first), scratch.data(),
              out + b * n_draws + first);
    }
  });
}

void mixture_draws(const MixtureView& mixture, const float* edges, const float* spread, const float* uniform,
                   const float* noise, std::size_t n_draws, float* z, int n_threads, const Poll& poll) {
  const std::size_t c = mixture.n_components;
  const std::size_t d = mixture.dim;
  for_blocks(mixture.n_datasets, n_draws, n_threads, poll, [&](std::size_t begin, std::size_t end, std::size_t blocks) {
    int component[width];
    for (std::size_t item = begin; item < end; ++item) {
      const std::size_t b = item / blocks;
      const std::size_t first = b * n_draws + item % blocks * width;
      const std::size_t size = std::min(width, (b + 1) * n_draws - first);
      std::fill_n(component, width, 0);
      for (std::size_t e = b * (c - 1); e < (b + 1) * (c - 1); ++e) {
        for (std::size_t s = 0; s < size; ++s) component[s] += edges[e] < uniform[first + s] ? 1 : 0;
      }
      for (std::size_t s = 0; s < size; ++s) {
        const std::size_t chosen = b * c + static_cast<std::size_t>(component[s]);
        const float* const mean = mixture.mean + chosen * d;
        const float* const width_of = spread + chosen * d;
        const float* low = mixture.lower + chosen * mixture.n_lower;
        const float* const from = noise + (first + s) * d;
        float* const to = z + (first + s) * d;
        for (std::size_t i = 0; i < d; ++i) {
          float value = from[i] * width_of[i];
          if (mixture.n_lower > 0) {
            for (std::size_t j = 0; j < i; ++j) value -= *low++ * to[j];
          }
          to[i] = value;
        }
        for (std::size_t i = 0; i < d; ++i) to[i] += mean[i];
      }
    }
  });
}

}  // namespace hbm_fast
