#include "math/normal_tails.hpp"

#include <algorithm>

#include "math/normal_tails_kernels.hpp"

namespace hbm_fast {

template <class T>
void normal_tails(const T* z, std::ptrdiff_t stride, std::size_t n, double* lower, double* upper,
                  std::ptrdiff_t out_stride, int n_threads, const Poll& poll) {
  TailsKernel& tails = tails_block();
  parallel_for(
      n, 4096, n_threads,
      [&](std::size_t begin, std::size_t end) {
        constexpr std::size_t block = 512;
        double x[block], low[block], high[block];
        for (std::size_t first = begin; first < end; first += block) {
          const std::size_t size = std::min(block, end - first);
          const T* const from = z + static_cast<std::ptrdiff_t>(first) * stride;
          const std::ptrdiff_t to = static_cast<std::ptrdiff_t>(first) * out_stride;
          for (std::size_t i = 0; i < size; ++i)
            x[i] = static_cast<double>(from[static_cast<std::ptrdiff_t>(i) * stride]);
          tails(x, size, low, high);
          for (std::size_t i = 0; i < size; ++i) lower[to + static_cast<std::ptrdiff_t>(i) * out_stride] = low[i];
          for (std::size_t i = 0; i < size; ++i) upper[to + static_cast<std::ptrdiff_t>(i) * out_stride] = high[i];
        }
      },
      poll);
}

template void normal_tails(const float*, std::ptrdiff_t, std::size_t, double*, double*, std::ptrdiff_t, int,
                           const Poll&);
template void normal_tails(const double*, std::ptrdiff_t, std::size_t, double*, double*, std::ptrdiff_t, int,
                           const Poll&);

}  // namespace hbm_fast
