#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "bindings/array_arguments.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast::bindings {
namespace {

constexpr std::int64_t largest_total = 2'000'000'000;

// For callers without Python (numba): row `index` of what `dirichlet` and `multinomial` below draw with this key. They
// cannot throw: bad input gives NaN, or -1.
void log_dirichlet_row(std::uint64_t high, std::uint64_t low, std::uint64_t index, const double* concentration,
                       std::int64_t n_categories, double* log_theta) noexcept {
  const auto k = static_cast<std::size_t>(n_categories);
  if (k == 0 || !std::all_of(concentration, concentration + k, [](double a) { return a > 0.0 && std::isfinite(a); })) {
    std::fill_n(log_theta, k, std::numeric_limits<double>::quiet_NaN());
    return;
  }
  for (std::size_t i = 0; i < k; ++i) log_theta[i] = std::max(concentration[i], 1e-300);
  Stream stream(Key{high, low}, Site::variate, index);
  log_dirichlet(stream, log_theta, k, log_theta);
}

// `scratch` holds 2 K values.
void multinomial_row(std::uint64_t high, std::uint64_t low, std::uint64_t index, std::int64_t total,
                     const double* weights, std::int64_t n_categories, double* scratch, std::int64_t* counts) noexcept {
  const auto k = static_cast<std::size_t>(n_categories);
  double sum = 0.0;
  bool good = total >= 0 && total <= largest_total;
  for (std::size_t i = 0; i < k; ++i) {
    good = good && weights[i] >= 0.0;
    sum += weights[i];
  }
  if (!good || !(sum > 0.0) || !std::isfinite(sum)) {
    std::fill_n(counts, k, std::int64_t{-1});
    return;
  }
  Stream stream(Key{high, low}, Site::variate, index, 1);
  multinomial(stream, total, weights, k, scratch, counts);
}

}  // namespace

void register_variates(py::module_& m) {
  m.def(
      "dirichlet",
      [](const Words& key, const Doubles& concentration, Doubles out, int n_threads) {
        if (out.ndim() != 2 || concentration.ndim() != 2 || concentration.shape(1) != out.shape(1) ||
            (concentration.shape(0) != out.shape(0) && concentration.shape(0) != 1)) {
          throw std::invalid_argument("concentration must have shape (S, K) or (1, K), and out (S, K)");
        }
        const auto n = static_cast<std::size_t>(out.shape(0));
        const auto k = static_cast<std::size_t>(out.shape(1));
        if (k == 0) return;  // nothing to write, however many rows
        const std::size_t stride = concentration.shape(0) == 1 ? 0 : k;
        const double* a = concentration.data();
        double* to = out.mutable_data();
        const Key address = to_key(key);
        without_gil([&] {
          parallel_for(
              n, 4096 / std::max<std::size_t>(k, 1), n_threads,
              [&](std::size_t begin, std::size_t end) {
                for (std::size_t i = begin; i < end; ++i) {
                  Stream stream(address, Site::variate, i);
                  log_dirichlet(stream, a + i * stride, k, to + i * k);
                }
              },
              poll_signals);
        });
      },
      py::arg("key").noconvert(), py::arg("concentration").noconvert(), py::arg("out").noconvert(),
      py::arg("n_threads"), "Writes logs of Dirichlet variates.");

  m.def(
      "multinomial",
      [](const Words& key, const Integers& totals, const Doubles& weights, Integers out, int n_threads) {
        if (out.ndim() != 2 || weights.ndim() != 2 || weights.shape(1) != out.shape(1) ||
            totals.size() != out.shape(0) || (weights.shape(0) != out.shape(0) && weights.shape(0) != 1)) {
          throw std::invalid_argument("totals must have shape (S,), weights (S, K) or (1, K), and out (S, K)");
        }
        const auto n = static_cast<std::size_t>(out.shape(0));
        const auto k = static_cast<std::size_t>(out.shape(1));
        const std::size_t stride = weights.shape(0) == 1 ? 0 : k;
        const double* w = weights.data();
        const std::int64_t* total = totals.data();
        if (!std::all_of(total, total + n, [](std::int64_t x) { return x >= 0 && x <= largest_total; })) {
          throw std::invalid_argument("totals must be from 0 to 2,000,000,000");
        }
        if (k == 0 && std::any_of(total, total + n, [](std::int64_t x) { return x > 0; })) {
          throw std::invalid_argument("a total above 0 needs at least one category");
        }
        std::int64_t* to = out.mutable_data();
        const Key address = to_key(key);
        if (k == 0) return;
        without_gil([&] {
          parallel_for(
              n, 4096 / std::max<std::size_t>(k, 1), n_threads,
              [&](std::size_t begin, std::size_t end) {
                std::vector<double> scratch(2 * k);
                for (std::size_t i = begin; i < end; ++i) {
                  Stream stream(address, Site::variate, i, 1);
                  multinomial(stream, total[i], w + i * stride, k, scratch.data(), to + i * k);
                }
              },
              poll_signals);
        });
      },
      py::arg("key").noconvert(), py::arg("totals").noconvert(), py::arg("weights").noconvert(),
      py::arg("out").noconvert(), py::arg("n_threads"));

  m.def("log_dirichlet_row_address", [] { return reinterpret_cast<std::uintptr_t>(&log_dirichlet_row); });
  m.def("multinomial_row_address", [] { return reinterpret_cast<std::uintptr_t>(&multinomial_row); });
}

}  // namespace hbm_fast::bindings
